"""Median over a window of positive values.

Only the two values in the middle are kept in order. A value that takes another's place moves them by one rank at most,
and only when it comes in on the other side; the neighbour is then looked up in the window. Positive floats are ordered
as their bits read as integers are, which a processor compares and selects many at a time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.features.kernels.compiled import compiled, place
from core.market.pairs import Floats

Keys = NDArray[np.uint64]

ONE: Final = np.uint64(1)
NONE: Final = np.uint64(2**64 - 1)
"""A distance larger than any between two numbers."""


LANES: Final = 32
"""Values compared at once, at most; a stretch is a multiple of it, so that none is left over to compare alone."""


class Median:
    """Record of a window at rings[start : start + window], infinities after it up to start + stretch.

    `lower` and `upper` are its middle values once it is full; of an odd window, the median and the value above it.
    """

    start: int
    window: int
    stretch: int
    filled: int
    head: int
    lower: float
    upper: float


@compiled
def median_clear(median: Median) -> None:
    median.filled = 0
    median.head = 0


@compiled
def median_run(median: Median, rings: Floats, xs: Floats, medians: Floats) -> None:
    """Take xs in; write the median of the window that ends at each.

    NaN until the window is full; a value that is not positive, or NaN, empties the window.
    """
    window = median.window
    ring = rings[median.start : median.start + window]
    keys = rings[median.start : median.start + median.stretch].view(np.uint64)
    filled = median.filled
    head = median.head
    lower = median.lower
    upper = median.upper
    even = window % 2 == 0
    for i in range(xs.shape[0]):
        x = xs[i]
        medians[i] = np.nan
        if not x > 0.0:
            filled = 0
            head = 0
            continue
        gone = ring[place(head)]
        ring[place(head)] = x
        head = head + 1 if head + 1 < window else 0
        if filled == window:
            lower, upper = _replaced(keys, window, lower, upper, gone, x)
        else:
            filled += 1
            if filled < window:
                continue
            lower = _ranked(ring, (window - 1) // 2)
            upper = _ranked(ring, (window - 1) // 2 + 1)
        medians[i] = 0.5 * (lower + upper) if even else lower
    median.filled = filled
    median.head = head
    median.lower = lower
    median.upper = upper


@compiled
def _replaced(keys: Keys, window: int, lower: float, upper: float, gone: float, come: float) -> tuple[float, float]:
    """The middle values after `come` took the place of `gone`; the window holds it already."""
    if gone <= lower:
        if come >= upper:
            return upper, _above(keys, window, upper)
        if come >= lower:
            return come, upper
        return (lower, upper) if gone < lower else (_below(keys, window, upper), upper)
    if come <= lower:
        return _below(keys, window, lower), lower
    if come <= upper:
        return lower, come
    return (lower, upper) if gone > upper else (lower, _above(keys, window, lower))


@compiled
def _above(keys: Keys, window: int, lower: float) -> float:
    """The upper middle value of a window whose lower one is given.

    Distances are taken without a sign: what lies below wraps around to the far end.
    """
    limit = np.float64(lower).view(np.uint64)
    start = limit + ONE
    distance = NONE
    same = 0
    for i in range(keys.shape[0]):
        distance = min(distance, keys[i] - start)
        same += keys[i] == limit
    if same > 1 and _count_within(keys, limit) > (window - 1) // 2 + 1:
        return lower
    return float(np.uint64(start + distance).view(np.float64))


@compiled
def _below(keys: Keys, window: int, upper: float) -> float:
    """The lower middle value of a window whose upper one is given; see `_above`."""
    limit = np.float64(upper).view(np.uint64)
    start = limit - ONE
    distance = NONE
    same = 0
    for i in range(keys.shape[0]):
        distance = min(distance, start - keys[i])
        same += keys[i] == limit
    if same > 1 and _count_within(keys, start) < window - window // 2:
        return upper
    return float(np.uint64(start - distance).view(np.float64))


@compiled
def _count_within(keys: Keys, limit: np.uint64) -> int:
    """How many are not above the limit."""
    within = 0
    for i in range(keys.shape[0]):
        within += keys[i] <= limit
    return within


@compiled
def _ranked(ring: Floats, rank: int) -> float:
    """The value that `rank` others stand below."""
    for x in ring:
        below = 0
        within = 0
        for other in ring:
            below += other < x
            within += other <= x
        if below <= rank < within:
            return float(x)
    return np.nan
