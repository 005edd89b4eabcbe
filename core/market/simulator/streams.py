"""Independent streams of random numbers, one a quantity: switching one fault off leaves everything else as it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from core.market.pairs import Floats


class Stream(IntEnum):
    """What a stream of random numbers is drawn for."""

    WALK = 0
    VOLATILITY = 1
    SPREAD = 2
    REGIME_BREAK = 3
    JUMP = 4
    JUMP_SIZE = 5
    OPEN = 6
    HIGH = 7
    LOW = 8
    VOLUME = 9
    BAD_TICK = 10
    BAD_TICK_SIZE = 11
    GAP = 12
    GAP_LENGTH = 13
    LONG_GAP = 14
    LONG_GAP_LENGTH = 15
    WALK_TAIL = 16
    SPREAD_TAIL = 17
    SPREAD_VOLATILITY = 18
    TREND_TURN = 19
    TREND_SIGN = 20


@dataclass(frozen=True)
class Draws:
    """The random numbers of a pair (leg 0) or of one of its legs (1: A, 2: B), `bars` of each quantity."""

    seed: int
    pair: int
    leg: int
    bars: int

    def normal(self, stream: Stream) -> Floats:
        """Standard normal numbers, float64 (bars,)."""
        return self._generator(stream).standard_normal(self.bars)

    def uniform(self, stream: Stream) -> Floats:
        """Numbers in [0, 1), float64 (bars,)."""
        return self._generator(stream).random(self.bars)

    def shocks(self, stream: Stream, tail: Stream, degrees: float) -> Floats:
        """Numbers of mean 0 and variance 1, float64 (bars,): normal, or Student's t where `degrees` is not 0.

        A t number is the normal one of `stream` over the root of a χ² one of `tail`.
        """
        normal = self.normal(stream)
        if degrees == 0.0:
            return normal
        chi_square = self._generator(tail).chisquare(degrees, self.bars)
        return np.asarray(normal * np.sqrt((degrees - 2.0) / chi_square), dtype=np.float64)

    def _generator(self, stream: Stream) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.pair, self.leg, int(stream)))
