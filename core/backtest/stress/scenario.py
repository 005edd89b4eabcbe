"""What every scenario has in common."""

from __future__ import annotations

from typing import Protocol

from core.backtest.stress.pair import StressedPair


class Scenario(Protocol):
    """One kind of trouble, drawn once by a seed and applied in any strength.

    `neutral` is the multiple that leaves everything as it was, `multiples` are those the policy asks for.
    """

    @property
    def name(self) -> str: ...

    @property
    def neutral(self) -> float: ...

    @property
    def multiples(self) -> tuple[float, ...]: ...

    def intensity(self, multiple: float) -> float:
        """The strength in the scenario's own unit."""
        ...

    def apply(self, pair: StressedPair, multiple: float) -> StressedPair:
        """The pair under this much of it; the same draws at every multiple."""
        ...
