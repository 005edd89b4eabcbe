"""Features seen from the direction of the trade, so that a long and a short spread share one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGNED: Final = frozenset({"z", "dz", "z_ema", "spread", "ema_gap_spread", "slope_spread", "rsi_spread"})
"""Features whose sign is the spread's direction."""

RSI_MIDDLE: Final = 50.0


def align_to_reversion(
    rows: NDArray[np.float64], columns: Sequence[str], z: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Multiply the signed features by −sign(z), `rsi_spread` as its distance from 50.

    Args:
        rows: float64 (m, k), unscaled features known at each bar's close; left as it is.
        columns: names of the k columns.
        z: float64 (m,), z of each row's bar.

    Returns:
        float64 (m, k), a copy.
    """
    aligned = np.array(rows, dtype=np.float64)
    direction = -np.sign(z)
    for place, name in enumerate(columns):
        if name not in SIGNED:
            continue
        middle = RSI_MIDDLE if name == "rsi_spread" else 0.0
        aligned[:, place] = (aligned[:, place] - middle) * direction
    return aligned
