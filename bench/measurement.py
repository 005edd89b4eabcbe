"""What a benchmark reports, and how it takes the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_SAMPLED_EVERY = 0.05


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


@dataclass
class Memory:
    """The most resident megabytes seen."""

    peak: float = 0.0


@contextmanager
def watched_memory() -> Iterator[Memory]:
    """Watch this process and its children together. (The kernel's own peak starts, in a child, at its parent's.)"""
    seen, ended = Memory(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(seen, ended))
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _watch(seen: Memory, ended: threading.Event) -> None:
    process = psutil.Process()
    while not ended.wait(_SAMPLED_EVERY):
        total = 0
        for each in (process, *process.children(recursive=True)):
            try:
                total += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        seen.peak = max(seen.peak, total / 1e6)
