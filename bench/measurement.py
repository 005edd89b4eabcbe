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
    """Shortest wall time of some repeats: what the machine can do when nothing else runs on it."""
    shortest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest
