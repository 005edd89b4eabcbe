"""Exponential averages: EMA (rate 2/(n+1)) and Wilder's (rate 1/n)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.features.kernels.compiled import compiled
from core.market.pairs import Floats


class Average:
    """An average's record."""

    window: int
    rate: float
    seen: int
    value: float


@compiled
def averages_clear(averages: NDArray[np.void]) -> None:
    for j in range(averages.shape[0]):
        averages[j].seen = 0


@compiled
def averages_run(averages: NDArray[np.void], series: Floats, n: int) -> None:
    """Replace each of the first n series[j, i] by its average up to i, NaN until the window's count of valid values.

    An average starts at its first valid value, without bias correction; a NaN leaves it as it is. All are taken in one
    loop: each waits for its own last value, not for the others'.
    """
    count = averages.shape[0]
    first = 0
    while first < n and not _all_full(averages):
        for j in range(count):
            average = averages[j]
            x = series[j, first]
            if not np.isnan(x):
                average.value = average.value + average.rate * (x - average.value) if average.seen > 0 else x
                average.seen += 1
            series[j, first] = average.value if average.seen >= average.window else np.nan
        first += 1
    for i in range(first, n):
        for j in range(count):
            value = averages[j].value
            moved = value + averages[j].rate * (series[j, i] - value)
            value = value if np.isnan(moved) else moved
            averages[j].value = value
            series[j, i] = value


@compiled
def _all_full(averages: NDArray[np.void]) -> bool:
    """Whether each has seen its window's count of valid values, after which that need not be asked again."""
    waiting = 0
    for j in range(averages.shape[0]):
        waiting += averages[j].seen < averages[j].window
    return waiting == 0
