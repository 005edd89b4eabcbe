"""AI1's label: does the spread revert within the horizon? (SPEC LAB-1, FORMULAS.md)"""

from __future__ import annotations

import numpy as np
from numba import njit

from core.config.core_policy import Ai1Label
from core.features.table import FeatureTable
from core.labels.horizon import Flags, complete, happens_within
from core.labels.starts import require_same_bars
from core.market.pairs import Floats, Ints, PairBars


def label_ai1(bars: PairBars, table: FeatureTable, starts: Ints, ai1: Ai1Label) -> Floats:
    """1.0 where z comes back within horizon_bars, 0.0 where it does not, NaN where the window is cut off.

    `path: rolling` asks for |z| ≤ z_exit at a bar in (t, t+M]. `path: frozen` holds β, α, mean and sd at t and asks
    for z* within z_exit of zero or beyond it.

    Args:
        bars, table: one pair.
        starts: int64 (m,) bar indices from `find_starts`.
        ai1: the policy.

    Returns:
        float64 (m,).

    Raises:
        ValueError: the table does not belong to these bars.
    """
    require_same_bars(bars, table)
    if ai1.path == "rolling":
        reverted = np.abs(table.column("z")) <= ai1.z_exit
        return happens_within(reverted, bars.segment, starts, ai1.horizon_bars)
    labels: Floats = _frozen_reversions(
        np.log(bars.close_a),
        np.log(bars.close_b),
        table.column("beta"),
        table.alpha + table.spread_mean,
        table.spread_sd,
        table.column("z"),
        starts,
        complete(starts, bars.segment, ai1.horizon_bars),
        ai1.horizon_bars,
        ai1.z_exit,
    )
    return labels


@njit(cache=True, error_model="numpy")
def _frozen_reversions(
    a: Floats,
    b: Floats,
    beta: Floats,
    level: Floats,
    sd: Floats,
    z: Floats,
    starts: Ints,
    whole: Flags,
    horizon: int,
    z_exit: float,
) -> Floats:
    """float64 (m,): 1.0 or 0.0 for whole windows, NaN for others; `level` is α + mean."""
    labels = np.full(starts.shape[0], np.nan)
    for k in range(starts.shape[0]):
        if not whole[k]:
            continue
        t = starts[k]
        side = 1.0 if z[t] > 0.0 else -1.0
        labels[k] = 0.0
        for u in range(t + 1, t + horizon + 1):
            if side * (a[u] - beta[t] * b[u] - level[t]) / sd[t] <= z_exit:
                labels[k] = 1.0
                break
    return labels
