"""Features bar by bar, by the very step the batch loops over (SPEC FEAT-4)."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from core.config.core_policy import FeatureWindows
from core.features.batch import advance
from core.features.kernels.state import KernelState, new_state
from core.features.table import FeatureTable
from core.market.pairs import PairBars


class LiveFeatures:
    """The running state of one pair.

    Args:
        windows: of the policy.
        state: where to go on from, a snapshot of an earlier run; a kernel that has seen no bar where it is None.
    """

    def __init__(self, windows: FeatureWindows, state: KernelState | None = None) -> None:
        self._state = new_state(windows) if state is None else state.copy()

    def take(self, bars: PairBars) -> FeatureTable:
        """Features of bars that follow those already taken, one bar or many: the rows are the same either way."""
        return advance(self._state, bars)

    def snapshot(self) -> KernelState:
        """The state after the last bar taken."""
        return self._state.copy()


def cut_bars(bars: PairBars, first: int, end: int) -> PairBars:
    """The pair's bars first … end − 1."""
    cut = {
        field.name: getattr(bars, field.name)[first:end]
        for field in fields(bars)
        if isinstance(getattr(bars, field.name), np.ndarray)
    }
    return replace(bars, **cut)
