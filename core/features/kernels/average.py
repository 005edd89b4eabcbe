"""Exponential averages: EMA (rate 2/(n+1)) and Wilder's (rate 1/n)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.features.kernels.compiled import compiled, inlined
from core.market.pairs import Floats

AVERAGES: Final = 9
"""How many a step keeps."""


class Average:
    """An average's record."""

    window: int
    rate: float
    seen: int
    value: float


@compiled
def averages_clear(averages: NDArray[np.void]) -> None:
    for j in range(AVERAGES):
        averages[j].seen = 0


@compiled
def averages_run(averages: NDArray[np.void], series: Floats, n: int) -> None:
    """Replace each of the first n series[j, i] by its average up to i, NaN until the window's count of valid values.

    An average starts at its first valid value, without bias correction; a NaN leaves it as it is.
    """
    first = 0
    while first < n and not _all_full(averages):
        for j in range(AVERAGES):
            average = averages[j]
            x = series[j, first]
            if not np.isnan(x):
                average.value = _moved(average.value, average.rate, x) if average.seen > 0 else x
                average.seen += 1
            series[j, first] = average.value if average.seen >= average.window else np.nan
        first += 1
    if first < n:
        _all_moved(averages, series[:, first:n])


@compiled
def _all_moved(averages: NDArray[np.void], series: Floats) -> None:
    """The same for averages whose windows are full.

    All are taken in one loop, each in a variable of its own: each waits for its own last value, not for the others'
    nor for memory.
    """
    rate_0 = averages[0].rate
    rate_1 = averages[1].rate
    rate_2 = averages[2].rate
    rate_3 = averages[3].rate
    rate_4 = averages[4].rate
    rate_5 = averages[5].rate
    rate_6 = averages[6].rate
    rate_7 = averages[7].rate
    rate_8 = averages[8].rate
    value_0 = averages[0].value
    value_1 = averages[1].value
    value_2 = averages[2].value
    value_3 = averages[3].value
    value_4 = averages[4].value
    value_5 = averages[5].value
    value_6 = averages[6].value
    value_7 = averages[7].value
    value_8 = averages[8].value
    series_0 = series[0]
    series_1 = series[1]
    series_2 = series[2]
    series_3 = series[3]
    series_4 = series[4]
    series_5 = series[5]
    series_6 = series[6]
    series_7 = series[7]
    series_8 = series[8]
    for i in range(series.shape[1]):
        value_0 = series_0[i] = _moved(value_0, rate_0, series_0[i])
        value_1 = series_1[i] = _moved(value_1, rate_1, series_1[i])
        value_2 = series_2[i] = _moved(value_2, rate_2, series_2[i])
        value_3 = series_3[i] = _moved(value_3, rate_3, series_3[i])
        value_4 = series_4[i] = _moved(value_4, rate_4, series_4[i])
        value_5 = series_5[i] = _moved(value_5, rate_5, series_5[i])
        value_6 = series_6[i] = _moved(value_6, rate_6, series_6[i])
        value_7 = series_7[i] = _moved(value_7, rate_7, series_7[i])
        value_8 = series_8[i] = _moved(value_8, rate_8, series_8[i])
    averages[0].value = value_0
    averages[1].value = value_1
    averages[2].value = value_2
    averages[3].value = value_3
    averages[4].value = value_4
    averages[5].value = value_5
    averages[6].value = value_6
    averages[7].value = value_7
    averages[8].value = value_8


@inlined
def _moved(value: float, rate: float, x: float) -> float:
    """The average after x, or as it was if there is none."""
    moved = value + rate * (x - value)
    return value if np.isnan(moved) else moved


@compiled
def _all_full(averages: NDArray[np.void]) -> bool:
    """Whether each has seen its window's count of valid values, after which that need not be asked again."""
    waiting = 0
    for j in range(AVERAGES):
        waiting += averages[j].seen < averages[j].window
    return waiting == 0
