"""Least-squares line of a series over its own bar numbers.

With d the deviations from an anchor and k = 0 … n−1, slope = Σ(k − (n−1)/2)·d_k / (n(n²−1)/12). The sums of d and k·d
are updated by each value and taken anew, anchored at the window's mean, each time the ring has gone round once.
"""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled, place
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


@compiled
def slope_clear(slope: Slope) -> None:
    slope.filled = 0
    slope.head = 0


@compiled
def slope_run(slope: Slope, rings: Floats, xs: Floats, rises: Floats) -> None:
    """Take xs in; write the rise along the line, slope × n, of the window that ends at each.

    NaN until the window is full; a NaN empties the window.
    """
    start = slope.start
    window = slope.window
    filled = slope.filled
    head = slope.head
    anchor = slope.anchor
    total = slope.total
    weighted = slope.weighted
    n = float(window)
    middle = 0.5 * (n - 1.0)
    scale = 12.0 / (n * n - 1.0)
    for i in range(xs.shape[0]):
        x = xs[i]
        if np.isnan(x):
            filled = 0
            head = 0
            rises[i] = np.nan
            continue
        at = place(start + head)
        if filled == window:
            gone = rings[at] - anchor
            come = x - anchor
            weighted += (n - 1.0) * come + (gone - total)
            total += come - gone
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
            anchor += total / n
            total = 0.0
            weighted = 0.0
            for k in range(window):
                deviation = rings[place(start + k)] - anchor
                total += deviation
                weighted += k * deviation
        rises[i] = (weighted - middle * total) * scale if filled == window else np.nan
    slope.filled = filled
    slope.head = head
    slope.anchor = anchor
    slope.total = total
    slope.weighted = weighted
