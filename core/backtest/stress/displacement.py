"""Prices moved away from where they were, and what the rules then see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.backtest.candidates import PairMarket
from core.backtest.legs import LegMarket
from core.backtest.stress.pair import StressedPair
from core.labels.exits import SpreadShift
from core.market.pairs import Floats


@dataclass(frozen=True)
class Displacement:
    """Change of each leg's log price at every bar's open and close, float64 (n,) both; `lasting` where it stays."""

    leg_a: tuple[Floats, Floats]
    leg_b: tuple[Floats, Floats]
    lasting: bool


def displace(pair: StressedPair, by: Displacement, z_window: int) -> StressedPair:
    """Move the pair's prices; what was decided at a start, and with which probabilities, stays as it was.

    At bar u the spread moves by Δa − β·Δb, and the z that exits see by that over the sd of the unstressed spread. Of a
    lasting displacement a position meets what comes after its start, and the z window takes it in.
    """
    bars, table = pair.market.bars, pair.market.table
    names = ("open_a", "close_a", "open_b", "close_b")
    moved = {name: getattr(bars, name) * np.exp(move) for name, move in zip(names, (*by.leg_a, *by.leg_b), strict=True)}
    stressed = replace(
        bars,
        **moved,
        high_a=np.maximum.reduce([bars.high_a, moved["open_a"], moved["close_a"]]),
        low_a=np.minimum.reduce([bars.low_a, moved["open_a"], moved["close_a"]]),
        high_b=np.maximum.reduce([bars.high_b, moved["open_b"], moved["close_b"]]),
        low_b=np.minimum.reduce([bars.low_b, moved["open_b"], moved["close_b"]]),
    )
    spread = by.leg_a[1] - np.nan_to_num(table.column("beta")) * by.leg_b[1]
    market = PairMarket(
        bars=stressed,
        table=replace(table, spread_mean=table.spread_mean + spread) if by.lasting else table,
        leg_a=_moved_leg(pair.market.leg_a, moved["open_a"], moved["close_a"]),
        leg_b=_moved_leg(pair.market.leg_b, moved["open_b"], moved["close_b"]),
        shift=SpreadShift(spread, by.lasting, z_window),
    )
    return replace(pair, market=market)


def known_before(values: Floats) -> Floats:
    """The value known before each bar opens, the one of the bar before; 0 where there is none (float64 (n,))."""
    return np.concatenate((np.zeros(min(1, values.size)), np.nan_to_num(values[:-1])))


def _moved_leg(leg: LegMarket, opens: Floats, closes: Floats) -> LegMarket:
    return replace(leg, open=opens, close=closes)
