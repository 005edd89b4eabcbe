"""Median over a window of positive values.

Only the two values in the middle are kept in order. A value that takes another's place moves them by one rank at most,
and only when it comes in on the other side; the neighbour is then looked up in the window. Positive floats are ordered
as their bits read as integers are, which a processor compares and selects many at a time.

No two values of a window are equal: the last bits of each, one in 2^44 of it for a window of up to 256, give its place
in the ring instead. So a neighbour is the nearest value, and values need not be counted.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.features.kernels.compiled import compiled, inlined, place
from core.market.pairs import Floats

Keys = NDArray[np.uint64]

ONE: Final = np.uint64(1)
FARTHEST: Final = np.uint64(2**64 - 1)
"""A distance larger than any between two values."""

LANES: Final = 32
"""Values compared at once, at most; a stretch is a multiple of it, so that none is left over to compare alone."""


class Median:
    """Record of a window of keys at rings[start : start + window], NaN after it up to start + stretch.

    A key is a value's bits with the lowest `places` replaced. `lower` and `upper` are the middle keys of a full window;
    of an odd one, the median's and the one above it.
    """

    start: int
    window: int
    stretch: int
    places: int
    filled: int
    head: int
    lower: int
    upper: int


@compiled
def median_clear(median: Median) -> None:
    median.filled = 0
    median.head = 0


@compiled
def median_run(median: Median, rings: Floats, xs: Floats, medians: Floats) -> None:
    """Take xs in; write the median of the window that ends at each, to 44 binary digits for up to 256 values.

    NaN until the window is full; a value that is not positive, or NaN, empties the window.
    """
    window = median.window
    keys = rings[median.start : median.start + median.stretch].view(np.uint64)
    places = np.uint64(median.places)
    filled = median.filled
    head = median.head
    lower = np.uint64(median.lower)
    upper = np.uint64(median.upper)
    even = window % 2 == 0
    for i in range(xs.shape[0]):
        x = xs[i]
        medians[i] = np.nan
        if not x > 0.0:
            filled = 0
            head = 0
            continue
        gone = keys[place(head)]
        come = (np.float64(x).view(np.uint64) & ~places) | np.uint64(head)
        keys[place(head)] = come
        head = head + 1 if head + 1 < window else 0
        if filled == window:
            lower, upper = _replaced(keys, lower, upper, gone, come)
        else:
            filled += 1
            if filled < window:
                continue
            lower = _ranked(keys[:window], (window - 1) // 2)
            upper = _above(keys, lower)
        medians[i] = 0.5 * (_value(lower, places) + _value(upper, places)) if even else _value(lower, places)
    median.filled = filled
    median.head = head
    median.lower = int(lower)
    median.upper = int(upper)


@inlined
def _value(key: np.uint64, places: np.uint64) -> float:
    return np.uint64(key & ~places).view(np.float64)


@compiled
def _replaced(
    keys: Keys, lower: np.uint64, upper: np.uint64, gone: np.uint64, come: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """The middle keys after `come` took the place of `gone`; the window holds it already."""
    if gone <= lower:
        if come > upper:
            return upper, _above(keys, upper)
        if come > lower:
            return come, upper
        return (lower, upper) if gone < lower else (_below(keys, upper), upper)
    if come < lower:
        return _below(keys, lower), lower
    if come < upper:
        return lower, come
    return (lower, upper) if gone > upper else (lower, _above(keys, lower))


@compiled
def _above(keys: Keys, key: np.uint64) -> np.uint64:
    """The smallest key above one: what lies below is, without a sign, farther than any."""
    start = key + ONE
    distance = FARTHEST
    for i in range(keys.shape[0]):
        distance = min(distance, keys[i] - start)
    return start + distance


@compiled
def _below(keys: Keys, key: np.uint64) -> np.uint64:
    """The largest key below one; see `_above`."""
    start = key - ONE
    distance = FARTHEST
    for i in range(keys.shape[0]):
        distance = min(distance, start - keys[i])
    return start - distance


@compiled
def _ranked(keys: Keys, rank: int) -> np.uint64:
    """The key that `rank` others stand below."""
    for key in keys:
        below = 0
        for other in keys:
            below += other < key
        if below == rank:
            return np.uint64(key)
    return FARTHEST
