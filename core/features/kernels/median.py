"""Median over a window whose values are also kept sorted.

A value's rank is counted, block by block and then within a block, and the values between the leaving and the entering
one move by a place: straight loops through which a processor need not guess its way, as it would have to in a search.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.features.kernels.compiled import inlined, place
from core.market.pairs import Floats

BLOCK: Final = 16


class Median:
    """Record of a window: sorted at rings[start : start + window], in order of time in the stretch after it."""

    start: int
    window: int
    filled: int
    head: int


@inlined
def median_clear(median: Median) -> None:
    median.filled = 0
    median.head = 0


@inlined
def median_push(median: Median, rings: Floats, x: float) -> float:
    """Take x in and return the median, NaN until the window is full; a NaN empties the window."""
    if np.isnan(x):
        median_clear(median)
        return np.nan
    start = median.start
    now = place(start + median.window + median.head)
    entering = _rank(rings, start, median.filled, x)
    if median.filled == median.window:
        leaving = _rank(rings, start, median.filled, rings[now])
        if entering > leaving:
            entering -= 1
            _move_down(rings, start + leaving, start + entering)
        else:
            _move_up(rings, start + entering, start + leaving)
    else:
        _move_up(rings, start + entering, start + median.filled)
        median.filled += 1
    rings[place(start + entering)] = x
    rings[now] = x
    median.head = median.head + 1 if median.head + 1 < median.window else 0
    if median.filled < median.window:
        return np.nan
    upper = rings[place(start + median.window // 2)]
    lower = upper if median.window % 2 == 1 else rings[place(start + median.window // 2 - 1)]
    return float(0.5 * (lower + upper))


@inlined
def _rank(rings: Floats, start: int, length: int, x: float) -> int:
    """How many of the sorted rings[start : start + length] are below x."""
    blocks_below = 0
    for i in range(length // BLOCK):
        blocks_below += rings[place(start + BLOCK * i + BLOCK - 1)] < x
    first = BLOCK * blocks_below
    below = first
    for i in range(first, min(first + BLOCK, length)):
        below += rings[place(start + i)] < x
    return below


@inlined
def _move_down(rings: Floats, first: int, last: int) -> None:
    """Put each of rings[first + 1 : last + 1] one place before its own."""
    for i in range(last - first):
        rings[place(first + i)] = rings[place(first + i + 1)]


@inlined
def _move_up(rings: Floats, first: int, last: int) -> None:
    """Put each of rings[first : last] one place behind its own."""
    for i in range(last - first):
        rings[place(last - i)] = rings[place(last - i - 1)]
