"""Resident memory of a work in a process of its own, watched from outside.

The process is a fresh one: a forked one begins with its parent's pages, and the kernel's peak of it at its parent's.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psutil

from bench.measurement import Measurement, compare

_SAMPLED_EVERY = 0.02
_REPEATED_FOR = 1.5
_PAGE = mmap.PAGESIZE / 1e6
_MEGABYTES = "MB"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """`prepare` makes the inputs and returns the work on them; it is a function of a module."""

    prepare: Callable[..., Callable[[], object]]
    given: tuple[object, ...]


def memory_beside(name: str, ours: Job, peers: Mapping[str, Job]) -> Measurement:
    """Megabytes a work holds at most beyond its modules and inputs, ours and each peer's in a process of its own.

    Compiled code, loaded when it is first called, and thread pools count.
    """
    with _freed_blocks_returned():
        own, *others = (_added(job) for job in (ours, *peers.values()))
    return compare(name, _MEGABYTES, [own], {peer: [held] for peer, held in zip(peers, others, strict=True)})


def watch_memory(name: str, run: Callable[..., Result], *given: object) -> tuple[Result, Measurement]:
    """What `run` gives, and the most megabytes its process and that one's children hold together, all counted."""
    with _fresh_process() as executor:
        process = psutil.Process(executor.submit(os.getpid).result())
        result, peak = _watched(executor.submit(run, *given), process)
    return result, compare(name, _MEGABYTES, [peak], {})


def _added(job: Job) -> float:
    """A page at least."""
    with _fresh_process() as executor:
        process = psutil.Process(executor.submit(_make_ready, job).result())
        before = _resident(process)
        _, peak = _watched(executor.submit(_repeat), process)
    return max(peak - before, _PAGE)


def _fresh_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


_ready: list[Callable[[], object]] = []
"""In the watched process: the work it waits to do."""


def _make_ready(job: Job) -> int:
    _ready.append(job.prepare(*job.given))
    return os.getpid()


def _repeat() -> None:
    """Samples fall on every phase of a short work when it is repeated."""
    end = time.monotonic() + _REPEATED_FOR
    while time.monotonic() < end:
        _ready[0]()


def _watched(running: Future[Result], process: psutil.Process) -> tuple[Result, float]:
    peak = 0.0
    while wait([running], timeout=_SAMPLED_EVERY).not_done:
        peak = max(peak, _resident(process))
    return running.result(), peak


def _resident(process: psutil.Process) -> float:
    """Megabytes of a process and its children; one that has just ended counts nothing."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


@contextmanager
def _freed_blocks_returned() -> Iterator[None]:
    """Processes started in here give large freed blocks back at once.

    Else glibc keeps more of them the larger they were, and what preparing has freed hides what the work takes.
    """
    setting = "MALLOC_MMAP_THRESHOLD_"
    os.environ[setting] = str(128 * 1024)
    try:
        yield
    finally:
        del os.environ[setting]
