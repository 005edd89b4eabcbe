"""Sums of squares and products of two series over a window, from which a line and a correlation follow.

Sums are anchored and renewed as in `moments`. Points (x, y) lie next to each other in the ring.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.features.kernels.compiled import compiled, inlined, place
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
    """Record of a window at rings[start : start + 2·window]."""

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
def joint_run(  # noqa: PLR0915 - the record's numbers as local variables, in and out
    joint: Joint, rings: Floats, xs: Floats, ys: Floats, sums: Floats
) -> None:
    """Take the points (xs, ys) in; write SUMS rows of the window that ends at each, NaN until it is full.

    The centred sum of squares of a constant is exactly 0. A NaN in either coordinate empties the window.
    """
    start = joint.start
    window = joint.window
    weight = joint.weight
    filled = joint.filled
    head = joint.head
    anchor_x = joint.anchor_x
    anchor_y = joint.anchor_y
    x = joint.x
    y = joint.y
    xx = joint.xx
    xy = joint.xy
    yy = joint.yy
    suspect = SUSPECT * (window - 1)
    zero = ZERO * (window - 1)
    for i in range(xs.shape[0]):
        point_x = xs[i]
        point_y = ys[i]
        if np.isnan(point_x + point_y):
            filled = 0
            head = 0
            _write(sums, i, np.nan, np.nan, np.nan, np.nan, np.nan)
            continue
        at = place(start + 2 * head)
        come_x = point_x - anchor_x
        come_y = point_y - anchor_y
        if filled == window:
            gone_x = rings[at] - anchor_x
            gone_y = rings[place(at + 1)] - anchor_y
            x += come_x - gone_x
            y += come_y - gone_y
            xx += (come_x - gone_x) * (come_x + gone_x)
            xy += come_x * come_y - gone_x * gone_y
            yy += (come_y - gone_y) * (come_y + gone_y)
        else:
            if filled == 0:
                anchor_x = point_x
                anchor_y = point_y
                x = 0.0
                y = 0.0
            x += point_x - anchor_x
            y += point_y - anchor_y
            filled += 1
        rings[at] = point_x
        rings[place(at + 1)] = point_y
        head += 1
        if head == window:
            head = 0
            anchor_x += x * weight
            anchor_y += y * weight
            x, y, xx, xy, yy = _renewed(rings, start, window, anchor_x, anchor_y)
        if filled < window:
            _write(sums, i, np.nan, np.nan, np.nan, np.nan, np.nan)
            continue
        centred_xx = xx - x * x * weight
        centred_yy = yy - y * y * weight
        if min(centred_xx, centred_yy) < suspect or centred_xx < CANCELLED * xx or centred_yy < CANCELLED * yy:
            anchor_x += x * weight
            anchor_y += y * weight
            x, y, xx, xy, yy = _renewed(rings, start, window, anchor_x, anchor_y)
            centred_xx = xx - x * x * weight
            centred_yy = yy - y * y * weight
        _write(
            sums,
            i,
            centred_xx if centred_xx > zero else 0.0,
            xy - x * y * weight,
            centred_yy if centred_yy > zero else 0.0,
            anchor_x + x * weight,
            anchor_y + y * weight,
        )
    joint.filled = filled
    joint.head = head
    joint.anchor_x = anchor_x
    joint.anchor_y = anchor_y
    joint.x = x
    joint.y = y
    joint.xx = xx
    joint.xy = xy
    joint.yy = yy


@inlined
def _write(sums: Floats, i: int, xx: float, xy: float, yy: float, mean_x: float, mean_y: float) -> None:
    sums[XX, i] = xx
    sums[XY, i] = xy
    sums[YY, i] = yy
    sums[MEAN_X, i] = mean_x
    sums[MEAN_Y, i] = mean_y


@compiled
def _renewed(
    rings: Floats, start: int, window: int, anchor_x: float, anchor_y: float
) -> tuple[float, float, float, float, float]:
    """Sums of x, y, xx, xy, yy around the anchor, taken anew."""
    x = 0.0
    y = 0.0
    xx = 0.0
    xy = 0.0
    yy = 0.0
    for i in range(start, start + 2 * window, 2):
        deviation_x = rings[place(i)] - anchor_x
        deviation_y = rings[place(i + 1)] - anchor_y
        x += deviation_x
        y += deviation_y
        xx += deviation_x * deviation_x
        xy += deviation_x * deviation_y
        yy += deviation_y * deviation_y
    return x, y, xx, xy, yy
