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


@inlined
def moments_clear(moments: Moments) -> None:
    moments.filled = 0
    moments.head = 0


@inlined
def moments_push(moments: Moments, rings: Floats, x: float) -> None:
    """Take x in; a NaN empties the window."""
    if np.isnan(x):
        moments_clear(moments)
        return
    at = place(moments.start + moments.head)
    if moments.filled == moments.window:
        gone = rings[at] - moments.anchor
        come = x - moments.anchor
        moments.total += come - gone
        moments.squares += (come - gone) * (come + gone)
    else:
        if moments.filled == 0:
            moments.anchor = x
            moments.total = 0.0
        moments.total += x - moments.anchor
        moments.filled += 1
    rings[at] = x
    moments.head += 1
    if moments.head == moments.window:
        moments.head = 0
        _renew(moments, rings)


@inlined
def moments_read(moments: Moments, rings: Floats) -> tuple[float, float]:
    """Mean and variance (ddof 1; exactly 0 for a constant) of the window, NaN until it is full."""
    if moments.filled < moments.window:
        return np.nan, np.nan
    squares = _centred(moments)
    if squares < SUSPECT * (moments.window - 1) or squares < CANCELLED * moments.squares:
        _renew(moments, rings)
        squares = _centred(moments)
    variance = squares / (moments.window - 1)
    mean = moments.anchor + moments.total * moments.weight
    return mean, (variance if variance > ZERO else 0.0)


@inlined
def _centred(moments: Moments) -> float:
    """Sum of squared deviations from the window's mean."""
    return moments.squares - moments.total * moments.total * moments.weight


@compiled
def _renew(moments: Moments, rings: Floats) -> None:
    """Anchor at the window's mean and take the sums anew."""
    anchor = moments.anchor + moments.total * moments.weight
    total = 0.0
    squares = 0.0
    for i in range(moments.start, moments.start + moments.window):
        deviation = rings[place(i)] - anchor
        total += deviation
        squares += deviation * deviation
    moments.anchor = anchor
    moments.total = total
    moments.squares = squares
