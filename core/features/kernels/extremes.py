"""Largest and smallest value over a window.

Each time the rings have gone round once they are turned into the extremes of their tails, in place. From then on the
window's extreme is that of two numbers: the values entered since, and the tail not yet overwritten.
"""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled, inlined, place
from core.market.pairs import Floats


class Extremes:
    """Record of a window: largest values at rings[start : start + window], smallest in the stretch after it."""

    start: int
    window: int
    filled: int
    head: int
    largest: float
    smallest: float


@inlined
def extremes_clear(extremes: Extremes) -> None:
    extremes.filled = 0
    extremes.head = 0


@inlined
def extremes_push(extremes: Extremes, rings: Floats, x: float) -> tuple[float, float]:
    """Take x in and return (max, min), NaN until the window is full; a NaN empties the window."""
    if np.isnan(x):
        extremes_clear(extremes)
        return np.nan, np.nan
    head = extremes.head
    highs = extremes.start
    lows = extremes.start + extremes.window
    if head == 0:
        extremes.largest = x
        extremes.smallest = x
    else:
        extremes.largest = max(extremes.largest, x)
        extremes.smallest = min(extremes.smallest, x)
    rings[place(highs + head)] = x
    rings[place(lows + head)] = x
    if extremes.filled < extremes.window:
        extremes.filled += 1
    full = extremes.filled == extremes.window
    largest = extremes.largest
    smallest = extremes.smallest
    head += 1
    if head == extremes.window:
        _turn_into_tails(extremes, rings)
        head = 0
    elif full:
        largest = max(largest, rings[place(highs + head)])
        smallest = min(smallest, rings[place(lows + head)])
    extremes.head = head
    if not full:
        return np.nan, np.nan
    return largest, smallest


@compiled
def _turn_into_tails(extremes: Extremes, rings: Floats) -> None:
    highs = extremes.start
    lows = extremes.start + extremes.window
    for i in range(extremes.window - 2, -1, -1):
        rings[place(highs + i)] = max(rings[place(highs + i)], rings[place(highs + i + 1)])
        rings[place(lows + i)] = min(rings[place(lows + i)], rings[place(lows + i + 1)])
