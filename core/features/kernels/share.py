"""Share of a window's bars, counted on both legs."""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled, place
from core.market.pairs import Counts, Floats


class Share:
    """Record of a window at rings[start : start + window]; counts are small integers, so their sums are exact."""

    start: int
    window: int
    filled: int
    head: int
    total: float


@compiled
def share_clear(share: Share) -> None:
    share.filled = 0
    share.head = 0
    share.total = 0.0


@compiled
def share_run(share: Share, rings: Floats, legs: Counts, shares: Floats) -> None:
    """Take in how many legs (0, 1, 2) are marked; write marked / (2·window), NaN until the window is full."""
    start = share.start
    window = share.window
    filled = share.filled
    head = share.head
    total = share.total
    for i in range(legs.shape[0]):
        at = place(start + head)
        if filled == window:
            total += legs[i] - rings[at]
        else:
            total += legs[i]
            filled += 1
        rings[at] = legs[i]
        head = head + 1 if head + 1 < window else 0
        shares[i] = total if filled == window else np.nan
    for i in range(legs.shape[0]):
        shares[i] = shares[i] / (2.0 * window)
    share.filled = filled
    share.head = head
    share.total = total
