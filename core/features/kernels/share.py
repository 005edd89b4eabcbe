"""Share of a window's bars, counted on both legs."""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import inlined, place
from core.market.pairs import Floats


class Share:
    """Record of a window at rings[start : start + window]; counts are small integers, so their sums are exact."""

    start: int
    window: int
    filled: int
    head: int
    total: float


@inlined
def share_clear(share: Share) -> None:
    share.filled = 0
    share.head = 0
    share.total = 0.0


@inlined
def share_push(share: Share, rings: Floats, legs: int) -> float:
    """Take in how many legs (0, 1, 2) are marked; return marked / (2·window), NaN until the window is full."""
    at = place(share.start + share.head)
    if share.filled == share.window:
        share.total -= rings[at]
    else:
        share.filled += 1
    share.total += legs
    rings[at] = legs
    share.head = share.head + 1 if share.head + 1 < share.window else 0
    return share.total / (2.0 * share.window) if share.filled == share.window else np.nan
