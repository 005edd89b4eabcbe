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
    for i in range(n):
        for j in range(averages.shape[0]):
            average = averages[j]
            x = series[j, i]
            if not np.isnan(x):
                average.value = average.value + average.rate * (x - average.value) if average.seen > 0 else x
                average.seen += 1
            series[j, i] = average.value if average.seen >= average.window else np.nan
