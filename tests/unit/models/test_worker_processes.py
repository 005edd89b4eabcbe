"""Jobs in processes: order, refusals, defects, and processes that die at any moment."""

from __future__ import annotations

import functools
import multiprocessing
import os
from typing import Any

import pytest

from core.errors import BlockedError, TransientError
from core.models.worker_processes import run_jobs

LARGER_THAN_A_PIPE = b"x" * 10_000_000


def refuse(*_: Any) -> None:
    raise BlockedError("MODEL_TEST_REFUSED", "no", where="here", remedy="none")


def die(*_: Any) -> None:
    os._exit(1)


def silent(done: int, total: int) -> None:
    """Nobody looks at the progress."""


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_results_come_in_the_order_of_the_jobs_and_each_is_counted(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    jobs = [functools.partial(pow, base) for base in range(5)]
    assert run_jobs(jobs, (3,), workers, lambda done, total: seen.append((done, total))) == [0, 1, 8, 27, 64]
    assert seen == [(done, 5) for done in range(1, 6)]
    assert multiprocessing.active_children() == []


def test_a_refusal_comes_as_it_was_raised_and_ends_all() -> None:
    with pytest.raises(BlockedError, match="MODEL_TEST_REFUSED") as raised:
        run_jobs([refuse, *[len] * 100], (b"",), 2, silent)
    assert (raised.value.where, raised.value.remedy) == ("here", "none")
    assert multiprocessing.active_children() == []


def test_a_defect_is_shown_with_where_it_happened() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError"):
        run_jobs([functools.partial(divmod, 1)], (0,), 1, silent)


@pytest.mark.parametrize("jobs", [[die], [len, die], [len, die, len]], ids=["first", "last", "between"])
def test_a_process_that_dies_in_a_job_is_noticed(jobs: list[Any]) -> None:
    with pytest.raises(TransientError, match="MODEL_WORKER_LOST"):
        run_jobs(jobs, (LARGER_THAN_A_PIPE,), 1, silent)
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_before_it_reads_anything_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.models.worker_processes._work", die)
    with pytest.raises(TransientError, match="MODEL_WORKER_LOST"):
        run_jobs([len], (LARGER_THAN_A_PIPE,), 2, silent)


def test_whoever_stops_looking_leaves_no_process() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs([len] * 3, (b"",), 2, stop)
    assert multiprocessing.active_children() == []
