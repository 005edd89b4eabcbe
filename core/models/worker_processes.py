"""Jobs spread over processes, on data each process is handed once.

A process ends with the one it works for, and one that dies is noticed wherever it was. `concurrent.futures` promises
neither: its workers outlive a killed parent, and the first releases of Python 3.11 wait for ever when one dies while a
job larger than a pipe is on its way (python/cpython#94777).
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from core.errors import BlockedError, TransientError

_SPAWN: Final = multiprocessing.get_context("spawn")

Job = Callable[..., Any]
"""A function at the top level of a module, or a `functools.partial` of one."""


def run_jobs(
    jobs: Sequence[Job], arguments: tuple[Any, ...], workers: int, on_progress: Callable[[int, int], None]
) -> list[Any]:
    """`job(*arguments)` of every job, in the order of the jobs, which also is the order they are begun in.

    Args:
        jobs: what to call.
        arguments: what every job is called with, sent to each process once.
        workers: processes to start at most.
        on_progress: called with (jobs done, jobs in all) after each job.

    Raises:
        BlockedError: as a job raised it; the jobs that were not done are given up.
        TransientError: MODEL_WORKER_LOST when a process dies.
        RuntimeError: a job raised anything else, whose traceback is in the message.
    """
    crew = [_Worker() for _ in range(min(workers, len(jobs)))]
    try:
        for worker in crew:
            worker.send(arguments)
        return _hand_out(jobs, crew, on_progress)
    finally:
        for worker in crew:
            worker.end()


def _hand_out(jobs: Sequence[Job], crew: list[_Worker], on_progress: Callable[[int, int], None]) -> list[Any]:
    results: list[Any] = [None] * len(jobs)
    waiting = iter(enumerate(jobs))
    busy: dict[Any, tuple[_Worker, int]] = {}

    def give_next_job(worker: _Worker) -> None:
        for position, job in waiting:
            worker.send(job)
            busy[worker.connection] = worker, position
            break

    for worker in crew:
        give_next_job(worker)
    done = 0
    while busy:
        for connection in wait(list(busy)):
            worker, position = busy.pop(connection)
            results[position] = worker.receive()
            done += 1
            on_progress(done, len(jobs))
            give_next_job(worker)
    return results


class _Worker:
    """A process and this end of the line to it. The other end is the process's alone, so the line breaks with it."""

    def __init__(self) -> None:
        self.connection, far_end = multiprocessing.Pipe()
        with closing(far_end):
            self._process = _SPAWN.Process(target=_work, args=(far_end,), daemon=True)
            self._process.start()

    def send(self, content: Any) -> None:
        try:
            self.connection.send(content)
        except OSError as error:
            raise _lost() from error

    def receive(self) -> Any:
        try:
            result = self.connection.recv()
        except (EOFError, OSError) as error:
            raise _lost() from error
        if isinstance(result, _Refusal):
            raise BlockedError(result.code, result.message, where=result.where, remedy=result.remedy)
        if isinstance(result, _Defect):
            raise RuntimeError(f"a training process failed:\n{result.traceback}")
        return result

    def end(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()


@dataclass(frozen=True)
class _Refusal:
    """A BlockedError on its way out of a process."""

    code: str
    message: str
    where: str
    remedy: str


@dataclass(frozen=True)
class _Defect:
    """Any other exception on its way out of a process."""

    traceback: str


def _work(line: Connection) -> None:
    """Do the jobs that come down the line, until it ends: there are no more, or nobody is left to do them for."""
    with closing(line):
        try:
            arguments = line.recv()
            while True:
                line.send(_outcome(line.recv(), arguments))
        except (EOFError, ConnectionError):
            return


def _outcome(job: Job, arguments: tuple[Any, ...]) -> Any:
    try:
        return job(*arguments)
    except BlockedError as error:
        return _Refusal(error.code, error.message, error.where, error.remedy)
    except Exception:  # noqa: BLE001 - raised again where the job came from
        return _Defect(traceback.format_exc())


def _lost() -> TransientError:
    return TransientError(
        "MODEL_WORKER_LOST",
        "a training process died before it finished",
        where="core.models.worker_processes",
        remedy="run the task again; with little memory, lower workers in retrain_policy.yaml",
    )
