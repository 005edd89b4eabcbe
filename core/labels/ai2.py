"""AI2's label: does a risk event occur while the position would be held? (SPEC LAB-2, S7, FORMULAS.md)"""

from __future__ import annotations

from core.config.core_policy import Ai2Label
from core.features.table import FeatureTable
from core.labels.horizon import happens_within
from core.market.pairs import Floats, Ints


def label_ai2(table: FeatureTable, starts: Ints, ai2: Ai2Label, horizon_bars: int) -> Floats:
    """1.0 where a bar in (t, t+M] breaks a limit, 0.0 where none does, NaN where the window is cut off.

    The limits: rho_var > rho_var_max, atr_ratio > atr_ratio_max, speed > speed_max, dd_recent > dd_recent_max.

    Args:
        table: one pair.
        starts: int64 (m,) bar indices from `find_starts`.
        ai2: the policy.
        horizon_bars: M, AI1's horizon.

    Returns:
        float64 (m,).
    """
    event = (
        (table.column("rho_var") > ai2.rho_var_max)
        | (table.column("atr_ratio") > ai2.atr_ratio_max)
        | (table.column("speed") > ai2.speed_max)
        | (table.column("dd_recent") > ai2.dd_recent_max)
    )
    return happens_within(event, table.segment, starts, horizon_bars)
