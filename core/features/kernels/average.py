"""Exponential averages: EMA (rate 2/(n+1)) and Wilder's (rate 1/n)."""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import inlined


class Average:
    """An average's record."""

    window: int
    rate: float
    seen: int
    value: float


@inlined
def average_clear(average: Average) -> None:
    average.seen = 0


@inlined
def average_push(average: Average, x: float) -> float:
    """Take x in and return the average, NaN until its n-th valid value.

    It starts at the first valid value, without bias correction; a NaN leaves it as it is.
    """
    if not np.isnan(x):
        if average.seen == 0:
            average.value = x
        else:
            average.value += average.rate * (x - average.value)
        average.seen += 1
    return average.value if average.seen >= average.window else np.nan
