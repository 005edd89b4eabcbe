"""Stretches in which the two legs stop moving together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.backtest.stress.displacement import Displacement, displace, known_before
from core.backtest.stress.draws import events, generator, years_of
from core.backtest.stress.pair import StressedPair
from core.config.backtest_policy import CorrelationCollapse as Policy
from core.market.pairs import Floats, Ints


@dataclass(frozen=True)
class CorrelationCollapse:
    """Within an episode a leg's return r becomes (r + k·σ·ξ)/√(1 + k²), k = multiple × noise_sd.

    σ is the sd of the leg's returns over the window that ends before the bar, ξ the symbol's own normal draw: each
    leg's volatility stays, the correlation ρ of two legs falls to ρ/(1 + k²). Episodes strike all symbols at once; what
    they did to the level stays.

    `grid` (g,) are bar opens, `collapsed` bool (g,) says which lie in an episode, `draws` has a float64 (g,) a symbol.
    """

    policy: Policy
    sd_window: int
    z_window: int
    grid: Ints
    collapsed: NDArray[np.bool_]
    draws: Mapping[str, Floats]

    name: ClassVar[str] = "correlation_collapse"
    neutral: ClassVar[float] = 0.0

    @classmethod
    def drawn(
        cls,
        policy: Policy,
        symbols: tuple[str, ...],
        grid: Ints,
        seed: int,
        *,
        sd_window: int,
        z_window: int,
    ) -> CorrelationCollapse:
        """Draw the episodes, and the noise of these symbols over the grid."""
        collapsed = np.zeros(grid.size, dtype=np.bool_)
        for start in events(
            generator(seed, cls.name, "episodes"), policy.episodes_per_year * years_of(grid), grid.size
        ):
            collapsed[start : start + policy.episode_bars] = True
        draws = {symbol: generator(seed, cls.name, symbol).standard_normal(grid.size) for symbol in symbols}
        return cls(policy, sd_window, z_window, grid, collapsed, draws)

    @property
    def multiples(self) -> tuple[float, ...]:
        return self.policy.multiples

    def intensity(self, multiple: float) -> float:
        """Sd of the noise, in sds of the leg's returns."""
        return multiple * self.policy.noise_sd

    def apply(self, pair: StressedPair, multiple: float) -> StressedPair:
        at = np.searchsorted(self.grid, pair.ts[pair.first :])
        struck = np.zeros(pair.ts.size, dtype=np.bool_)
        struck[pair.first :] = self.collapsed[at]
        strength = self.intensity(multiple)
        bars = pair.market.bars
        legs = []
        for symbol, closes in zip(pair.symbols, (bars.close_a, bars.close_b), strict=True):
            returns = np.diff(np.log(closes), prepend=math.log(closes[0])) if closes.size else closes
            sd = known_before(pd.Series(returns).rolling(self.sd_window).std().to_numpy())
            noise = np.zeros(pair.ts.size)
            noise[pair.first :] = sd[pair.first :] * self.draws[symbol][at]
            changed = (returns + strength * noise) / math.sqrt(1.0 + strength**2)
            moved = np.cumsum(np.where(struck, changed - returns, 0.0))
            legs.append((known_before(moved), moved))
        return displace(pair, Displacement(legs[0], legs[1], lasting=True), self.z_window)
