"""Jumps of single legs between a close and the next open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.backtest.stress.displacement import Displacement, displace, known_before
from core.backtest.stress.draws import events, generator, years_of
from core.backtest.stress.pair import StressedPair
from core.config.backtest_policy import GapEvents as Policy
from core.market.pairs import Ints


@dataclass(frozen=True)
class GapEvents:
    """At each of its moments a symbol opens multiple × atr_multiple × ATR away, and stays there.

    The moments are the symbol's own, the same in every pair. The direction is the one that widens the pair's spread as
    its z stands at the close before, so that a position the spread calls for loses: the worst case for each pair.

    `moments` has the bar opens of a symbol's events, int64, epoch seconds UTC.
    """

    policy: Policy
    z_window: int
    moments: Mapping[str, Ints]

    name: ClassVar[str] = "gap_events"
    neutral: ClassVar[float] = 0.0

    @classmethod
    def drawn(cls, policy: Policy, symbols: tuple[str, ...], grid: Ints, seed: int, *, z_window: int) -> GapEvents:
        """Draw the moments of these symbols on the grid."""
        count = policy.events_per_year * years_of(grid)
        moments = {symbol: grid[events(generator(seed, cls.name, symbol), count, grid.size)] for symbol in symbols}
        return cls(policy, z_window, moments)

    @property
    def multiples(self) -> tuple[float, ...]:
        return self.policy.multiples

    def intensity(self, multiple: float) -> float:
        """Size of a jump, in ATRs."""
        return multiple * self.policy.atr_multiple

    def apply(self, pair: StressedPair, multiple: float) -> StressedPair:
        table = pair.market.table
        wider = np.sign(known_before(table.column("z")))
        against = np.sign(known_before(table.column("beta")))
        legs = []
        for symbol, column, way in zip(pair.symbols, ("atr_a", "atr_b"), (wider, -wider * against), strict=True):
            size = self.intensity(multiple) * known_before(table.column(column))
            at = np.unique(np.searchsorted(pair.ts, self.moments[symbol]))
            at = at[at < pair.ts.size]
            jump = np.zeros(pair.ts.size)
            jump[at] = way[at] * size[at]
            moved = np.cumsum(jump)
            legs.append((moved, moved))
        return displace(pair, Displacement(legs[0], legs[1], lasting=True), self.z_window)
