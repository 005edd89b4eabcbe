"""What a scenario acts on: one pair's market, and the starts that were predicted on it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from core.backtest.candidates import Candidates, Delays, PairMarket, Predictions
from core.backtest.legs import LegMarket
from core.market.pairs import Ints, PairBars


@dataclass(frozen=True)
class StressedPair:
    """A pair over the stressed window.

    `symbols` names the legs A and B, `starts` the predictions whose decision falls into the window, with the models'
    probabilities as they were; `delays` has a row for each of them (None: no fill is late). `first` is the index of
    the first bar that may be stressed: the bars before it only fill windows.
    """

    symbols: tuple[str, str]
    market: PairMarket
    starts: Predictions
    delays: Delays | None
    first: int

    @property
    def ts(self) -> Ints:
        """Opens of the pair's bars, epoch seconds UTC (n,)."""
        return self.market.bars.ts


def pair_from(
    market: PairMarket, symbols: tuple[str, str], candidates: Candidates, start: int, lead_bars: int
) -> StressedPair:
    """The pair from the window's start on.

    Args:
        market: all its bars.
        symbols: names of the legs.
        candidates: of all pairs; those of this one decided at `start` (epoch seconds UTC) or later are its starts.
        start: where the window begins.
        lead_bars: bars before it that are kept because windows reach back to them.
    """
    own = np.flatnonzero(
        (candidates.pair == candidates.pairs.index(market.bars.pair_id)) & (candidates.decided >= start)
    )
    starts = Predictions(**{field.name: getattr(candidates, field.name)[own] for field in fields(Predictions)})
    bars = market.bars
    first = int(np.searchsorted(bars.ts + bars.timeframe_seconds, start))
    kept = slice(max(0, first - lead_bars), None)
    cut = PairMarket(
        bars=_cut_bars(bars, kept),
        table=replace(
            market.table,
            **{
                name: getattr(market.table, name)[kept]
                for name in ("ts", "segment", "values", "alpha", "spread_mean", "spread_sd")
            },
        ),
        leg_a=_cut_leg(market.leg_a, kept),
        leg_b=_cut_leg(market.leg_b, kept),
    )
    return StressedPair(symbols, cut, starts, None, first - max(0, first - lead_bars))


def _cut_bars(bars: PairBars, kept: slice) -> PairBars:
    arrays = [field.name for field in fields(PairBars) if field.name not in {"pair_id", "timeframe_seconds"}]
    return replace(bars, **{name: getattr(bars, name)[kept] for name in arrays})


def _cut_leg(leg: LegMarket, kept: slice) -> LegMarket:
    arrays = ("open", "close", "usd_open", "usd_close", "usd_age")
    return replace(leg, **{name: getattr(leg, name)[kept] for name in arrays})
