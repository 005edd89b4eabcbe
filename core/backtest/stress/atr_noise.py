"""Noise of a share of the ATR on every price of both legs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.backtest.stress.displacement import Displacement, displace, known_before
from core.backtest.stress.draws import generator
from core.backtest.stress.pair import StressedPair
from core.config.backtest_policy import AtrNoise as Policy
from core.market.pairs import Floats, Ints


@dataclass(frozen=True)
class AtrNoise:
    """Each open and close of a leg moves by its own normal draw × multiple × atr_share × the ATR known before the bar.

    `grid` (g,) are bar opens; `draws` has a float64 (2, g) for each symbol: at the open, at the close.
    """

    policy: Policy
    z_window: int
    grid: Ints
    draws: Mapping[str, Floats]

    name: ClassVar[str] = "atr_noise"
    neutral: ClassVar[float] = 0.0

    @classmethod
    def drawn(cls, policy: Policy, symbols: tuple[str, ...], grid: Ints, seed: int, *, z_window: int) -> AtrNoise:
        """Draw the noise of these symbols over the grid."""
        draws = {symbol: generator(seed, cls.name, symbol).standard_normal((2, grid.size)) for symbol in symbols}
        return cls(policy, z_window, grid, draws)

    @property
    def multiples(self) -> tuple[float, ...]:
        return self.policy.multiples

    def intensity(self, multiple: float) -> float:
        """Sd of the noise, in ATRs."""
        return multiple * self.policy.atr_share

    def apply(self, pair: StressedPair, multiple: float) -> StressedPair:
        at = np.searchsorted(self.grid, pair.ts[pair.first :])
        legs = []
        for symbol, column in zip(pair.symbols, ("atr_a", "atr_b"), strict=True):
            move = np.zeros((2, pair.ts.size))
            sd = self.intensity(multiple) * known_before(pair.market.table.column(column))
            move[:, pair.first :] = sd[pair.first :] * self.draws[symbol][:, at]
            legs.append((move[0], move[1]))
        return displace(pair, Displacement(legs[0], legs[1], lasting=False), self.z_window)
