"""Least-squares line and correlation of two series over a window.

Sums are anchored and renewed as in `moments`. Points (x, y) lie next to each other in the ring.
"""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled, inlined, place
from core.features.kernels.moments import CANCELLED, SUSPECT, ZERO
from core.market.pairs import Floats


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


@inlined
def joint_clear(joint: Joint) -> None:
    joint.filled = 0
    joint.head = 0


@inlined
def joint_push(joint: Joint, rings: Floats, x: float, y: float) -> None:
    """Take the point (x, y) in; a NaN in either empties the window."""
    if np.isnan(x) or np.isnan(y):
        joint_clear(joint)
        return
    at_x = place(joint.start + 2 * joint.head)
    at_y = place(joint.start + 2 * joint.head + 1)
    if joint.filled == joint.window:
        gone_x = rings[at_x] - joint.anchor_x
        gone_y = rings[at_y] - joint.anchor_y
        come_x = x - joint.anchor_x
        come_y = y - joint.anchor_y
        joint.x += come_x - gone_x
        joint.y += come_y - gone_y
        joint.xx += (come_x - gone_x) * (come_x + gone_x)
        joint.xy += come_x * come_y - gone_x * gone_y
        joint.yy += (come_y - gone_y) * (come_y + gone_y)
    else:
        if joint.filled == 0:
            joint.anchor_x = x
            joint.anchor_y = y
            joint.x = 0.0
            joint.y = 0.0
        joint.x += x - joint.anchor_x
        joint.y += y - joint.anchor_y
        joint.filled += 1
    rings[at_x] = x
    rings[at_y] = y
    joint.head += 1
    if joint.head == joint.window:
        joint.head = 0
        _renew(joint, rings)


@inlined
def joint_line(joint: Joint, rings: Floats) -> tuple[float, float, float]:
    """Slope of y on x and the means of x and y; NaN until the window is full, slope NaN where x is constant."""
    if joint.filled < joint.window:
        return np.nan, np.nan, np.nan
    _settle(joint, rings)
    xx = joint.xx - joint.x * joint.x * joint.weight
    xy = joint.xy - joint.x * joint.y * joint.weight
    slope = xy / xx if xx > ZERO * (joint.window - 1) else np.nan
    return slope, joint.anchor_x + joint.x * joint.weight, joint.anchor_y + joint.y * joint.weight


@inlined
def joint_correlation(joint: Joint, rings: Floats) -> float:
    """Pearson correlation in [−1, 1]; NaN until the window is full and where either series is constant."""
    if joint.filled < joint.window:
        return np.nan
    _settle(joint, rings)
    xx = joint.xx - joint.x * joint.x * joint.weight
    xy = joint.xy - joint.x * joint.y * joint.weight
    yy = joint.yy - joint.y * joint.y * joint.weight
    if xx <= ZERO * (joint.window - 1) or yy <= ZERO * (joint.window - 1):
        return np.nan
    return float(min(1.0, max(-1.0, xy / np.sqrt(xx * yy))))


@inlined
def _settle(joint: Joint, rings: Floats) -> None:
    """Renew the sums of a full window where they may have lost digits."""
    xx = joint.xx - joint.x * joint.x * joint.weight
    yy = joint.yy - joint.y * joint.y * joint.weight
    suspect = SUSPECT * (joint.window - 1)
    if xx < suspect or yy < suspect or xx < CANCELLED * joint.xx or yy < CANCELLED * joint.yy:
        _renew(joint, rings)


@compiled
def _renew(joint: Joint, rings: Floats) -> None:
    """Anchor both series at the window's means and take the sums anew."""
    anchor_x = joint.anchor_x + joint.x * joint.weight
    anchor_y = joint.anchor_y + joint.y * joint.weight
    x = 0.0
    y = 0.0
    xx = 0.0
    xy = 0.0
    yy = 0.0
    for i in range(joint.start, joint.start + 2 * joint.window, 2):
        deviation_x = rings[place(i)] - anchor_x
        deviation_y = rings[place(i + 1)] - anchor_y
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
