"""Exponential averages: EMA (rate 2/(n+1)) and Wilder's (rate 1/n)."""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled, inlined


class Average:
    """An average's record: NaN until its first valid value."""

    window: int
    rate: float
    seen: int
    value: float


@compiled
def average_clear(average: Average) -> None:
    average.seen = 0
    average.value = np.nan


@inlined
def average_step(average: Average, x: float) -> float:
    """The average with x; NaN until the window's count of valid values.

    It starts at its first valid value, without bias correction; a NaN leaves it as it is.
    """
    if not np.isnan(x):
        average.value = moved(average.value, average.rate, x) if average.seen > 0 else x
        average.seen += 1
    return average.value if average.seen >= average.window else np.nan


@inlined
def average_full(average: Average) -> bool:
    """Whether its window has been seen, after which that need not be asked again."""
    return average.seen >= average.window


@inlined
def moved(value: float, rate: float, x: float) -> float:
    """An average after x, or as it was if there is none."""
    after = value + rate * (x - value)
    return value if np.isnan(after) else after
