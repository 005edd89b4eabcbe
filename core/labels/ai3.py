"""AI3's target: the largest adverse excursion of the position over its holding window (SPEC S8, FORMULAS.md)."""

from __future__ import annotations

import numpy as np

from core.labels.exits import PositionPaths
from core.labels.horizon import complete
from core.market.pairs import Floats, Ints


def label_ai3(paths: PositionPaths, segment: Ints, horizon_bars: int) -> Floats:
    """Adverse excursion ≥ 0 in share of gross; NaN where the window (t, t+M] is cut off.

    A window that is cut off is dropped even when its position had already left, so that short holdings are not
    over-represented at the end of the data.

    Args:
        paths: from `scan_paths`, m positions.
        segment: int64 (n,) of the pair's bars.
        horizon_bars: M, AI1's horizon.

    Returns:
        float64 (m,).
    """
    return np.where(complete(paths.start, segment, horizon_bars), paths.adverse, np.nan)
