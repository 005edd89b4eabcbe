"""Mean and sample variance over a window.

Sums are kept of deviations from an anchor, and taken anew from the window, anchored at its mean, each time the ring has
gone round once and whenever the variance comes out small enough to be rounding. So neither the price level nor the
length of the history costs digits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.features.kernels.compiled import compiled, place
from core.market.pairs import Floats

SUSPECT: Final = 1e-12
"""A variance below this is computed anew from the window before it is believed."""
CANCELLED: Final = 1e-6
"""So is one below this share of the mean square around the anchor."""
ZERO: Final = 1e-24
"""A variance below this is rounding of a constant: logarithms of prices resolve 1e-15."""


class Moments:
    """Record of a window at rings[start : start + window]."""

    start: int
    window: int
    weight: float
    filled: int
    head: int
    anchor: float
    total: float
    squares: float


@compiled
def moments_clear(moments: Moments) -> None:
    moments.filled = 0
    moments.head = 0


@compiled
def moments_run(moments: Moments, rings: Floats, xs: Floats, means: Floats, variances: Floats) -> None:
    """Take xs in; write mean and variance (ddof 1; exactly 0 for a constant) of the window that ends at each.

    NaN until the window is full; a NaN empties the window.
    """
    start = moments.start
    window = moments.window
    weight = moments.weight
    filled = moments.filled
    head = moments.head
    anchor = moments.anchor
    total = moments.total
    squares = moments.squares
    suspect = SUSPECT * (window - 1)
    share = 1.0 / (window - 1)
    for i in range(xs.shape[0]):
        x = xs[i]
        means[i] = np.nan
        variances[i] = np.nan
        if np.isnan(x):
            filled = 0
            head = 0
            continue
        at = place(start + head)
        if filled == window:
            gone = rings[at] - anchor
            come = x - anchor
            total += come - gone
            squares += (come - gone) * (come + gone)
        else:
            if filled == 0:
                anchor = x
                total = 0.0
            total += x - anchor
            filled += 1
        rings[at] = x
        head += 1
        if head == window:
            head = 0
            anchor, total, squares = _renewed(rings, start, window, anchor + total * weight)
        if filled < window:
            continue
        centred = squares - total * total * weight
        if centred < suspect or centred < CANCELLED * squares:
            anchor, total, squares = _renewed(rings, start, window, anchor + total * weight)
            centred = squares - total * total * weight
        variance = centred * share
        means[i] = anchor + total * weight
        variances[i] = variance if variance > ZERO else 0.0
    moments.filled = filled
    moments.head = head
    moments.anchor = anchor
    moments.total = total
    moments.squares = squares


@compiled
def _renewed(rings: Floats, start: int, window: int, anchor: float) -> tuple[float, float, float]:
    """The anchor given, and the sums around it taken anew."""
    total = 0.0
    squares = 0.0
    for i in range(start, start + window):
        deviation = rings[place(i)] - anchor
        total += deviation
        squares += deviation * deviation
    return anchor, total, squares
