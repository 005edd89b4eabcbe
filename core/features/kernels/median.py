"""Median over a window, kept as a linked list in order of value.

A node is a place in the ring of the window's values. The leaving value's node is known, so it is unlinked without a
search; the entering value is searched for from the one before it, which a smooth series keeps near. Equal values stand
in order of time.
"""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import inlined, place
from core.market.pairs import Floats, Ints


class Median:
    """Record of a window with its values at rings[start : start + window].

    links[node] is the next node and links[window + 1 + node] the one before. Node number `window` stands before the
    first and after the last. `middle` is the node of rank (filled − 1) // 2.
    """

    start: int
    window: int
    filled: int
    head: int
    middle: int


@inlined
def median_clear(median: Median) -> None:
    median.filled = 0
    median.head = 0


@inlined
def median_push(median: Median, rings: Floats, links: Ints, x: float) -> float:
    """Take x in and return the median, NaN until the window is full; a NaN empties the window."""
    if np.isnan(x):
        median_clear(median)
        return np.nan
    values = median.start
    node = median.head
    median.head = node + 1 if node + 1 < median.window else 0
    if median.filled == 0:
        rings[place(values)] = x
        _link(links, median.window, median.window, 0, median.window)
        median.middle = 0
        median.filled = 1
        return np.nan

    middle = median.middle
    rank = (median.filled - 1) // 2
    if median.filled == median.window:
        if node == middle:
            middle = links[place(node)]
        elif rings[place(values + node)] <= rings[place(values + middle)]:
            rank -= 1
        _unlink(links, median.window, node)
    else:
        median.filled += 1

    _enter(median, rings, links, node, x)
    if x < rings[place(values + middle)]:
        rank += 1
    wanted = (median.filled - 1) // 2
    if rank > wanted:
        middle = links[place(median.window + 1 + middle)]
    elif rank < wanted:
        middle = links[place(middle)]
    median.middle = middle

    if median.filled < median.window:
        return np.nan
    lower = rings[place(values + middle)]
    upper = lower if median.window % 2 == 1 else rings[place(values + links[place(middle)])]
    return float(0.5 * (lower + upper))


@inlined
def _enter(median: Median, rings: Floats, links: Ints, node: int, x: float) -> None:
    """Give x the place of `node` in the ring and the place behind all values not above it in the list."""
    values = median.start
    end = median.window
    preceding = node - 1 if node > 0 else end - 1
    following = links[place(preceding)]
    if rings[place(values + preceding)] <= x:
        while following != end and rings[place(values + following)] <= x:
            preceding = following
            following = links[place(following)]
    else:
        while preceding != end and rings[place(values + preceding)] > x:
            following = preceding
            preceding = links[place(end + 1 + preceding)]
    rings[place(values + node)] = x
    _link(links, end, preceding, node, following)


@inlined
def _link(links: Ints, end: int, preceding: int, node: int, following: int) -> None:
    links[place(node)] = following
    links[place(preceding)] = node
    links[place(end + 1 + node)] = preceding
    links[place(end + 1 + following)] = node


@inlined
def _unlink(links: Ints, end: int, node: int) -> None:
    following = links[place(node)]
    preceding = links[place(end + 1 + node)]
    links[place(preceding)] = following
    links[place(end + 1 + following)] = preceding
