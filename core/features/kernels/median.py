"""Median over a window: the window's values kept sorted, one leaving and one entering by insertion."""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled
from core.market.pairs import Floats


class Median:
    """Record of a window: sorted at rings[start : start + window], in order of time in the stretch after it."""

    start: int
    window: int
    filled: int
    head: int


@compiled
def median_clear(median: Median) -> None:
    median.filled = 0
    median.head = 0


@compiled
def median_push(median: Median, rings: Floats, x: float) -> float:
    """Take x in and return the median, NaN until the window is full; a NaN empties the window."""
    if np.isnan(x):
        median_clear(median)
        return np.nan
    start = median.start
    at = start + median.window + median.head
    if median.filled == median.window:
        hole = _first_not_below(rings, start, median.window, rings[at])
    else:
        hole = start + median.filled
        median.filled += 1
    _insert(rings, start, start + median.filled, hole, x)
    rings[at] = x
    median.head = median.head + 1 if median.head + 1 < median.window else 0
    if median.filled < median.window:
        return np.nan
    upper = start + median.window // 2
    return rings[upper] if median.window % 2 == 1 else 0.5 * (rings[upper - 1] + rings[upper])


@compiled
def _first_not_below(rings: Floats, start: int, length: int, x: float) -> int:
    """First index of the sorted stretch rings[start : start + length] whose value is not below x; x is among them."""
    while length > 1:
        half = length // 2
        start = start + half if rings[start + half - 1] < x else start
        length -= half
    return start


@compiled
def _insert(rings: Floats, start: int, end: int, hole: int, x: float) -> None:
    """Put x into the sorted stretch rings[start : end], of which `hole` is free."""
    while hole + 1 < end and rings[hole + 1] < x:
        rings[hole] = rings[hole + 1]
        hole += 1
    while hole > start and rings[hole - 1] > x:
        rings[hole] = rings[hole - 1]
        hole -= 1
    rings[hole] = x
