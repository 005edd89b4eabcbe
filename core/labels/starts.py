"""Label starts: the bars at which a decision is asked for (FORMULAS.md "Labels at a start t", SPEC LAB-1, S12)."""

from __future__ import annotations

import numpy as np

from core.config.core_policy import Decision, Label
from core.features.table import FeatureTable
from core.market.pairs import Ints, PairBars


def find_starts(bars: PairBars, table: FeatureTable, label: Label, decision: Decision) -> Ints:
    """Bars where |z| ≥ z_entry, speed ≤ speed_max, no leg is filled or spiked and every feature is finite.

    Every bar that qualifies is a start, whether or not the bar before it was one. A start at |z| ≥ z_stop is learned
    from like any other; the decision refuses it.

    Returns:
        int64 (m,), increasing indices into the pair's bars.

    Raises:
        ValueError: the table does not belong to these bars.
    """
    require_same_bars(bars, table)
    z, speed = table.column("z"), table.column("speed")
    held = np.column_stack((table.values, table.alpha, table.spread_mean, table.spread_sd))
    usable = np.isfinite(held).all(axis=1) & (bars.filled == 0) & (bars.spike == 0)
    called = (np.abs(z) >= label.ai1.z_entry) & (speed <= label.ai1.speed_max)
    return np.flatnonzero(usable & called).astype(np.int64)


def require_same_bars(bars: PairBars, table: FeatureTable) -> None:
    """Raises ValueError unless row i of the table is bar i of the pair."""
    if bars.pair_id != table.pair_id or not np.array_equal(bars.ts, table.ts):
        raise ValueError(f"features of {table.pair_id} do not belong to the bars of {bars.pair_id}")
