"""Least-squares slope of a series over its own bar numbers.

With d the deviations from an anchor and k = 0 … n−1, slope = Σ(k − (n−1)/2)·d_k / (n(n²−1)/12). The sums of d and k·d
are updated by each value and taken anew, anchored at the window's mean, each time the ring has gone round once.
"""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled, inlined, place
from core.market.pairs import Floats


class Slope:
    """Record of a window at rings[start : start + window]."""

    start: int
    window: int
    filled: int
    head: int
    anchor: float
    total: float
    weighted: float


@inlined
def slope_clear(slope: Slope) -> None:
    slope.filled = 0
    slope.head = 0


@inlined
def slope_push(slope: Slope, rings: Floats, x: float) -> float:
    """Take x in and return the slope per bar, NaN until the window is full; a NaN empties the window."""
    if np.isnan(x):
        slope_clear(slope)
        return np.nan
    at = place(slope.start + slope.head)
    if slope.filled == slope.window:
        gone = rings[at] - slope.anchor
        come = x - slope.anchor
        slope.weighted += (slope.window - 1) * come + gone - slope.total
        slope.total += come - gone
    else:
        if slope.filled == 0:
            slope.anchor = x
            slope.total = 0.0
        slope.total += x - slope.anchor
        slope.filled += 1
    rings[at] = x
    slope.head += 1
    if slope.head == slope.window:
        slope.head = 0
        _renew(slope, rings)
    if slope.filled < slope.window:
        return np.nan
    n = float(slope.window)
    return (slope.weighted - 0.5 * (n - 1.0) * slope.total) * 12.0 / (n * (n * n - 1.0))


@compiled
def _renew(slope: Slope, rings: Floats) -> None:
    """Anchor at the window's mean and take the sums anew."""
    anchor = slope.anchor + slope.total / slope.window
    total = 0.0
    weighted = 0.0
    for k in range(slope.window):
        deviation = rings[place(slope.start + k)] - anchor
        total += deviation
        weighted += k * deviation
    slope.anchor = anchor
    slope.total = total
    slope.weighted = weighted
