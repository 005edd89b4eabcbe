"""Fills that come late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from core.backtest.candidates import Delays
from core.backtest.stress.draws import generator
from core.backtest.stress.pair import StressedPair
from core.config.backtest_policy import Latency as Policy
from core.market.pairs import Floats


@dataclass(frozen=True)
class Latency:
    """Each fill of each leg waits for its own exponential draw × multiple × bars, rounded to whole tradable bars.

    One leg may be filled before the other; what is decided, and when, stays as it was. `draws` has a float64 (4, m) for
    each pair: entry and exit of leg A, entry and exit of leg B, over the pair's starts.
    """

    policy: Policy
    draws: Mapping[str, Floats]

    name: ClassVar[str] = "latency"
    neutral: ClassVar[float] = 0.0

    @classmethod
    def drawn(cls, policy: Policy, pairs: Iterable[StressedPair], seed: int) -> Latency:
        """Draw the waits of all starts."""
        draws = {
            pair.market.bars.pair_id: np.concatenate(
                [
                    generator(seed, cls.name, f"{pair.market.bars.pair_id}/{symbol}").standard_exponential(
                        (2, pair.starts.ts.size)
                    )
                    for symbol in pair.symbols
                ]
            )
            for pair in pairs
        }
        return cls(policy, draws)

    @property
    def multiples(self) -> tuple[float, ...]:
        return self.policy.multiples

    def intensity(self, multiple: float) -> float:
        """Mean wait, in bars."""
        return multiple * self.policy.bars

    def apply(self, pair: StressedPair, multiple: float) -> StressedPair:
        waits = np.rint(self.intensity(multiple) * self.draws[pair.market.bars.pair_id]).astype(np.int64)
        entry_a, exit_a, entry_b, exit_b = waits
        return replace(pair, delays=Delays(entry_a=entry_a, entry_b=entry_b, exit_a=exit_a, exit_b=exit_b))
