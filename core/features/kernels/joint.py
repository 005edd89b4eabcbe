"""Sums of squares and products of two series over a window, from which a line and a correlation follow.

Sums are anchored, moved on and renewed as in `moments`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.features.kernels.compiled import compiled, place
from core.features.kernels.moments import CANCELLED, SUSPECT, ZERO
from core.market.pairs import Floats

XX: Final = 0
XY: Final = 1
YY: Final = 2
MEAN_X: Final = 3
MEAN_Y: Final = 4
SUMS: Final = 5
"""Rows of what `joint_run` writes: centred sums, and the means."""


class Joint:
    """Record of a window: x at rings[start : start + window], y in the stretch after it."""

    start: int
    window: int
    weight: float
    filled: int
    head: int
    anchor_x: float
    anchor_y: float
    x: float
    y: float
    xx: float
    xy: float
    yy: float


@compiled
def joint_clear(joint: Joint) -> None:
    joint.filled = 0
    joint.head = 0


@compiled
def joint_run(joint: Joint, rings: Floats, xs: Floats, ys: Floats, sums: Floats) -> None:
    """Take the points (xs, ys) in; write SUMS rows of the window that ends at each, NaN until it is full.

    The centred sum of squares of a constant is exactly 0. A NaN in either coordinate empties the window.
    """
    i = 0
    while i < xs.shape[0]:
        if joint.filled < joint.window:
            _fill(joint, rings, xs[i], ys[i], sums, i)
            i += 1
        else:
            end = min(xs.shape[0], i + joint.window - joint.head)
            i += _slide(joint, rings, xs[i:end], ys[i:end], sums[:, i:end])


@compiled
def _fill(joint: Joint, rings: Floats, x: float, y: float, sums: Floats, i: int) -> None:
    """Take the point of bar i into a window that is not full yet."""
    for row in range(SUMS):
        sums[row, i] = np.nan
    if np.isnan(x + y):
        joint_clear(joint)
        return
    if joint.filled == 0:
        joint.anchor_x = x
        joint.anchor_y = y
        joint.x = 0.0
        joint.y = 0.0
    rings[place(joint.start + joint.filled)] = x
    rings[place(joint.start + joint.window + joint.filled)] = y
    joint.x += x - joint.anchor_x
    joint.y += y - joint.anchor_y
    joint.filled += 1
    if joint.filled == joint.window:
        _renew(joint, rings, sums, i)


@compiled
def _slide(joint: Joint, rings: Floats, xs: Floats, ys: Floats, sums: Floats) -> int:
    """Move a full window on, at most to its ring's end, while its sums serve; how many bars that were."""
    weight = joint.weight
    anchor_x = joint.anchor_x
    anchor_y = joint.anchor_y
    x = joint.x
    y = joint.y
    xx = joint.xx
    xy = joint.xy
    yy = joint.yy
    suspect = SUSPECT * (joint.window - 1)
    first = joint.start + joint.head
    ring_x = rings[first : first + xs.shape[0]]
    ring_y = rings[first + joint.window : first + joint.window + xs.shape[0]]
    count = 0
    serving = True
    while serving and count < xs.shape[0]:
        i = place(count)
        come_x = xs[i] - anchor_x
        come_y = ys[i] - anchor_y
        gone_x = ring_x[i] - anchor_x
        gone_y = ring_y[i] - anchor_y
        ring_x[i] = xs[i]
        ring_y[i] = ys[i]
        x += come_x - gone_x
        y += come_y - gone_y
        xx += (come_x - gone_x) * (come_x + gone_x)
        xy += come_x * come_y - gone_x * gone_y
        yy += (come_y - gone_y) * (come_y + gone_y)
        centred_xx = xx - x * x * weight
        centred_yy = yy - y * y * weight
        sums[XX, i] = centred_xx
        sums[XY, i] = xy - x * y * weight
        sums[YY, i] = centred_yy
        sums[MEAN_X, i] = anchor_x + x * weight
        sums[MEAN_Y, i] = anchor_y + y * weight
        serving = centred_xx >= max(suspect, CANCELLED * xx) and centred_yy >= max(suspect, CANCELLED * yy)
        count += 1
    joint.x = x
    joint.y = y
    joint.xx = xx
    joint.xy = xy
    joint.yy = yy
    joint.head += count
    if np.isnan(xs[count - 1] + ys[count - 1]):
        for row in range(SUMS):
            sums[row, count - 1] = np.nan
        joint_clear(joint)
    elif not serving or joint.head == joint.window:
        _renew(joint, rings, sums, count - 1)
    return count


@compiled
def _renew(joint: Joint, rings: Floats, sums: Floats, i: int) -> None:
    """Anchor the sums at the means, take them anew from the window, and write what follows from them for bar i."""
    window = joint.window
    weight = joint.weight
    zero = ZERO * (window - 1)
    anchor_x = joint.anchor_x + joint.x * weight
    anchor_y = joint.anchor_y + joint.y * weight
    ring_x = rings[joint.start : joint.start + window]
    ring_y = rings[joint.start + window : joint.start + 2 * window]
    x = y = xx = xy = yy = 0.0
    for k in range(window):
        deviation_x = ring_x[k] - anchor_x
        deviation_y = ring_y[k] - anchor_y
        x += deviation_x
        y += deviation_y
        xx += deviation_x * deviation_x
        xy += deviation_x * deviation_y
        yy += deviation_y * deviation_y
    joint.anchor_x = anchor_x
    joint.anchor_y = anchor_y
    joint.x = x
    joint.y = y
    joint.xx = xx
    joint.xy = xy
    joint.yy = yy
    joint.head %= window
    centred_xx = xx - x * x * weight
    centred_yy = yy - y * y * weight
    sums[XX, i] = centred_xx if centred_xx > zero else 0.0
    sums[XY, i] = xy - x * y * weight
    sums[YY, i] = centred_yy if centred_yy > zero else 0.0
    sums[MEAN_X, i] = anchor_x + x * weight
    sums[MEAN_Y, i] = anchor_y + y * weight
