"""Prices moved away from where they were, and what the rules then see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.backtest.candidates import PairMarket
from core.backtest.legs import LegMarket
from core.backtest.stress.pair import StressedPair
from core.features.table import FEATURE_COLUMNS
from core.market.pairs import Floats


@dataclass(frozen=True)
class Displacement:
    """Change of the log price of both legs at every bar's open and close, float64 (n,)."""

    open_a: Floats
    close_a: Floats
    open_b: Floats
    close_b: Floats


def displace(pair: StressedPair, by: Displacement, z_window: int, z_entry: float) -> StressedPair:
    """Move the pair's prices; the rules see the moved z, the models' probabilities stay as they were predicted.

    At bar u the spread moves by d = Δa − β·Δb, and z by (d − mean of d over the z window)/sd of the spread, where β and
    sd are those of the unstressed bars: a lasting shift leaves z as the window takes it in. A start at which the moved
    z no longer calls for the position (|z| below `z_entry`, or of the other sign) is left out.
    """
    bars, table = pair.market.bars, pair.market.table
    moved = {
        name: getattr(bars, name) * np.exp(getattr(by, name)) for name in ("open_a", "close_a", "open_b", "close_b")
    }
    stressed = replace(
        bars,
        **moved,
        high_a=np.maximum.reduce([bars.high_a, moved["open_a"], moved["close_a"]]),
        low_a=np.minimum.reduce([bars.low_a, moved["open_a"], moved["close_a"]]),
        high_b=np.maximum.reduce([bars.high_b, moved["open_b"], moved["close_b"]]),
        low_b=np.minimum.reduce([bars.low_b, moved["open_b"], moved["close_b"]]),
    )
    shift = by.close_a - np.nan_to_num(table.column("beta")) * by.close_b
    level = _rolling_mean(shift, z_window)
    values = table.values.copy(order="K")
    values[:, FEATURE_COLUMNS.index("z")] += np.divide(
        shift - level, table.spread_sd, out=np.zeros(shift.size), where=table.spread_sd > 0.0
    )
    market = PairMarket(
        bars=stressed,
        table=replace(table, values=values, spread_mean=table.spread_mean + level),
        leg_a=_moved_leg(pair.market.leg_a, moved["open_a"], moved["close_a"]),
        leg_b=_moved_leg(pair.market.leg_b, moved["open_b"], moved["close_b"]),
    )
    at = np.searchsorted(bars.ts, pair.starts.ts)
    z = market.table.column("z")[at]
    called = (np.abs(z) >= z_entry) & (np.sign(z) == np.sign(pair.starts.z))
    starts = {name: array[called] for name, array in vars(replace(pair.starts, z=z)).items()}
    return replace(pair, market=market, starts=type(pair.starts)(**starts))


def known_before(values: Floats) -> Floats:
    """The value known before each bar opens, the one of the bar before; 0 where there is none (float64 (n,))."""
    return np.concatenate((np.zeros(min(1, values.size)), np.nan_to_num(values[:-1])))


def _moved_leg(leg: LegMarket, opens: Floats, closes: Floats) -> LegMarket:
    return replace(leg, open=opens, close=closes)


def _rolling_mean(values: Floats, window: int) -> Floats:
    """Mean over the last `window` values, float64 (n,); what lies before the first counts as zero."""
    total = np.cumsum(values)
    before = np.concatenate((np.zeros(min(window, values.size)), total[:-window]))
    return (total - before) / window
