"""Looking ahead inside one segment: the end of a window and the next bar where something happens."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.market.pairs import Ints

Flags = NDArray[np.bool_]


@njit(cache=True, error_model="numpy")
def next_hits(hit: Flags, segment: Ints) -> Ints:
    """First bar after each bar where `hit` holds, within the same segment.

    Args:
        hit: bool (n,).
        segment: int64 (n,), non-decreasing.

    Returns:
        int64 (n,): the smallest u > t with hit[u] and segment[u] == segment[t], -1 where there is none.
    """
    n = hit.shape[0]
    following = np.empty(n, dtype=np.int64)
    upcoming = -1
    for t in range(n - 1, -1, -1):
        if t + 1 < n:
            if segment[t + 1] != segment[t]:
                upcoming = -1
            elif hit[t + 1]:
                upcoming = t + 1
        following[t] = upcoming
    return following


def last_bars(segment: Ints) -> Ints:
    """Index of the last bar of each bar's segment: int64 (n,)."""
    return np.searchsorted(segment, segment, side="right").astype(np.int64) - 1


def complete(starts: Ints, segment: Ints, horizon: int) -> Flags:
    """Whether the whole window (t, t + horizon] of each start lies in its segment: bool (len(starts),)."""
    return np.asarray(starts + horizon <= last_bars(segment)[starts], dtype=np.bool_)


def happens_within(hit: Flags, segment: Ints, starts: Ints, horizon: int) -> NDArray[np.float64]:
    """1.0 where `hit` holds at some bar in (t, t + horizon], else 0.0; NaN where the window is cut off.

    A window is cut off when data or its segment ends before t + horizon. It is NaN even if `hit` was already seen:
    keeping only the early hits of cut-off windows would bias the sample.

    Args:
        hit: bool (n,) over the pair's bars.
        segment: int64 (n,).
        starts: int64 (m,) bar indices t.
        horizon: M, in bars.

    Returns:
        float64 (m,).
    """
    following = next_hits(hit, segment)[starts]
    inside = (following >= 0) & (following <= starts + horizon)
    return np.where(complete(starts, segment, horizon), inside.astype(np.float64), np.nan)
