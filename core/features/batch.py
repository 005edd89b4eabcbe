"""Features of a whole history in one pass."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.config.core_policy import FeatureWindows
from core.features.kernels.state import KernelState, new_state
from core.features.step import ALPHA, BLOCK, HELD_ROWS, SPREAD_MEAN, SPREAD_SD, WORK_ROWS, run
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars

Scalar = TypeVar("Scalar", bound=np.generic)


def build_features(bars: PairBars, windows: FeatureWindows) -> FeatureTable:
    """All features of a pair, each row from bars up to its own; windows start anew at each segment.

    A value is NaN until its window is full and wherever its formula has none (a spread that does not move); for finite
    positive prices it is never infinite. Source: docs/formulas.md.
    """
    return advance(new_state(windows), bars)


def advance(state: KernelState, bars: PairBars) -> FeatureTable:
    """Features of bars that follow those `state` has seen; `state` moves to the last of them, in place."""
    columns = np.empty((len(FEATURE_COLUMNS), len(bars)))
    held = np.empty((HELD_ROWS, len(bars)))
    run(
        state.record,
        state.rings,
        _plain(bars.segment, np.int64),
        _plain(bars.high_a, np.float64),
        _plain(bars.low_a, np.float64),
        _plain(bars.close_a, np.float64),
        _plain(bars.high_b, np.float64),
        _plain(bars.low_b, np.float64),
        _plain(bars.close_b, np.float64),
        _plain(bars.filled, np.uint8),
        _plain(bars.spike, np.uint8),
        columns,
        held,
        np.empty((WORK_ROWS, min(len(bars), BLOCK))),
    )
    return FeatureTable(
        pair_id=bars.pair_id,
        ts=bars.ts,
        segment=bars.segment,
        values=columns.T,
        alpha=held[ALPHA],
        spread_mean=held[SPREAD_MEAN],
        spread_sd=held[SPREAD_SD],
    )


def _plain(array: NDArray[Scalar], dtype: type[Scalar]) -> NDArray[Scalar]:
    """The array in the one memory layout the step is compiled for."""
    if array.dtype == dtype and array.flags.carray:
        return array
    return np.require(array, dtype=dtype, requirements=["C", "W"])
