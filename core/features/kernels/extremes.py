"""Largest and smallest value over a window.

Each time the rings have gone round once they are turned into the extremes of their tails, in place. From then on the
window's extreme is that of two numbers: the values entered since, and the tail not yet overwritten.
"""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled, place
from core.market.pairs import Floats


class Extremes:
    """Record of a window: largest values at rings[start : start + window], smallest in the stretch after it."""

    start: int
    window: int
    filled: int
    head: int
    largest: float
    smallest: float


@compiled
def extremes_clear(extremes: Extremes) -> None:
    extremes.filled = 0
    extremes.head = 0


@compiled
def extremes_run(extremes: Extremes, rings: Floats, xs: Floats, highest: Floats, lowest: Floats) -> None:
    """Take xs in; write max and min of the window that ends at each, NaN until it is full; a NaN empties it."""
    window = extremes.window
    highs = extremes.start
    lows = highs + window
    filled = extremes.filled
    head = extremes.head
    largest = extremes.largest
    smallest = extremes.smallest
    for i in range(xs.shape[0]):
        x = xs[i]
        highest[i] = np.nan
        lowest[i] = np.nan
        if np.isnan(x):
            filled = 0
            head = 0
            continue
        largest = x if head == 0 else max(largest, x)
        smallest = x if head == 0 else min(smallest, x)
        rings[place(highs + head)] = x
        rings[place(lows + head)] = x
        if filled < window:
            filled += 1
        head += 1
        if head == window:
            head = 0
            _turn_into_tails(rings, highs, lows, window)
        if filled == window:
            highest[i] = largest if head == 0 else max(largest, rings[place(highs + head)])
            lowest[i] = smallest if head == 0 else min(smallest, rings[place(lows + head)])
    extremes.filled = filled
    extremes.head = head
    extremes.largest = largest
    extremes.smallest = smallest


@compiled
def _turn_into_tails(rings: Floats, highs: int, lows: int, window: int) -> None:
    high = rings[place(highs + window - 1)]
    low = rings[place(lows + window - 1)]
    for i in range(window - 2, -1, -1):
        high = max(high, rings[place(highs + i)])
        low = min(low, rings[place(lows + i)])
        rings[place(highs + i)] = high
        rings[place(lows + i)] = low
