"""Half-open intervals of epoch seconds, as int64 arrays (n, 2) of [start, end)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Intervals = NDArray[np.int64]


def union(intervals: Intervals) -> Intervals:
    """The same points as sorted, disjoint intervals with gaps between them; empty ones vanish."""
    kept = intervals[intervals[:, 1] > intervals[:, 0]]
    kept = kept[np.argsort(kept[:, 0], kind="stable")]
    if kept.shape[0] == 0:
        return kept
    reach = np.maximum.accumulate(kept[:, 1])
    first = np.concatenate(([True], kept[1:, 0] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.column_stack((kept[first, 0], reach[last]))


def subtract(intervals: Intervals, removed: Intervals) -> Intervals:
    """The points of `intervals` that lie in none of `removed`, sorted and disjoint."""
    kept, holes = union(intervals), union(removed)
    points = np.concatenate((kept[:, 0], kept[:, 1], holes[:, 0], holes[:, 1]))
    inside = np.repeat((1, -1, 0, 0), (len(kept), len(kept), len(holes), len(holes)))
    blocked = np.repeat((0, 0, 1, -1), (len(kept), len(kept), len(holes), len(holes)))
    order = np.argsort(points, kind="stable")
    points = points[order]
    open_now = (np.cumsum(inside[order]) > 0) & (np.cumsum(blocked[order]) == 0)
    starts, ends = points[:-1][open_now[:-1]], points[1:][open_now[:-1]]
    return union(np.column_stack((starts, ends)).astype(np.int64).reshape(-1, 2))
