"""Mean and sample variance over a window.

Sums are kept of deviations from an anchor, and taken anew from the window, anchored at its mean, each time the ring has
gone round once and whenever the variance comes out small enough to be rounding. So neither the price level nor the
length of the history costs digits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.features.kernels.compiled import compiled, inlined, place
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
    i = 0
    while i < xs.shape[0]:
        if moments.filled < moments.window:
            _fill(moments, rings, xs[i], means, variances, i)
            i += 1
        else:
            end = min(xs.shape[0], i + moments.window - moments.head)
            i += _slide(moments, rings, xs[i:end], means[i:end], variances[i:end])


@compiled
def _fill(moments: Moments, rings: Floats, x: float, means: Floats, variances: Floats, i: int) -> None:
    """Take the value of bar i into a window that is not full yet."""
    means[i] = np.nan
    variances[i] = np.nan
    if np.isnan(x):
        moments_clear(moments)
        return
    if moments.filled == 0:
        moments.anchor = x
        moments.total = 0.0
    rings[place(moments.start + moments.filled)] = x
    moments.total += x - moments.anchor
    moments.filled += 1
    if moments.filled == moments.window:
        _renew(moments, rings, means, variances, i)


@compiled
def _slide(moments: Moments, rings: Floats, xs: Floats, means: Floats, variances: Floats) -> int:
    """Move a full window on, at most to its ring's end, while its sums serve; how many bars that were."""
    weight = moments.weight
    anchor = moments.anchor
    total = moments.total
    squares = moments.squares
    share = 1.0 / (moments.window - 1)
    suspect = SUSPECT * (moments.window - 1)
    ring = rings[moments.start + moments.head : moments.start + moments.head + xs.shape[0]]
    count = 0
    serving = True
    while serving and count < xs.shape[0]:
        x = xs[place(count)]
        come = x - anchor
        gone = ring[place(count)] - anchor
        total += come - gone
        squares += (come - gone) * (come + gone)
        ring[place(count)] = x
        centred = squares - total * total * weight
        means[place(count)] = anchor + total * weight
        variances[place(count)] = centred * share
        serving = centred >= max(suspect, CANCELLED * squares)
        count += 1
    moments.total = total
    moments.squares = squares
    moments.head += count
    if np.isnan(xs[count - 1]):
        means[count - 1] = np.nan
        variances[count - 1] = np.nan
        moments_clear(moments)
    elif not serving or moments.head == moments.window:
        _renew(moments, rings, means, variances, count - 1)
    return count


@compiled
def _renew(moments: Moments, rings: Floats, means: Floats, variances: Floats, i: int) -> None:
    """Anchor the sums at the mean, take them anew from the window, and write what follows from them for bar i.

    Of every other value the sums are taken each for itself: neither waits for the other.
    """
    window = moments.window
    anchor = moments.anchor + moments.total * moments.weight
    ring = rings[moments.start : moments.start + window]
    one = other = (0.0, 0.0)
    for k in range(1, window, 2):
        one = _with(one, ring[place(k - 1)] - anchor)
        other = _with(other, ring[place(k)] - anchor)
    if window % 2 == 1:
        one = _with(one, ring[window - 1] - anchor)
    total = one[0] + other[0]
    squares = one[1] + other[1]
    moments.anchor = anchor
    moments.total = total
    moments.squares = squares
    moments.head %= window
    variance = (squares - total * total * moments.weight) / (window - 1)
    means[i] = anchor + total * moments.weight
    variances[i] = variance if variance > ZERO else 0.0


@inlined
def _with(sums: tuple[float, float], x: float) -> tuple[float, float]:
    """Sums of x and xx with one value more."""
    return sums[0] + x, sums[1] + x * x
