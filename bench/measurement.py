"""What a benchmark reports, and how it takes the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A value in a unit, smaller being better, and how many times it the peers take."""

    name: str
    value: float
    unit: str
    against: Mapping[str, float]


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Shortest processor time of some repeats, over all threads: what one core does when nothing else runs on it."""
    shortest = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        shortest = min(shortest, time.process_time() - start)
    return shortest
