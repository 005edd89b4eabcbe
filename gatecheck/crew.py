"""Processes that run a market each, and are replaced when they die.

The line to a process is its alone, so its death is noticed wherever it was. An executor of `concurrent.futures` may
wait for ever on the first releases of Python 3.11, as `core.models.worker_processes` says.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Final, Self

import psutil

from gatecheck.results import Result
from gatecheck.worker import Interruption, Job, run_market
from laptop.server_process import end_with_parent

LEAVE_SECONDS: Final = 10.0
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Ended:
    """A job that no longer runs: its result, or what kept it from one."""

    job: Job
    outcome: Result | Interruption


class Crew:
    """Up to `size` processes, started when there is a job for them. Leaving the block kills those at work.

    A process holds nothing that is not made again. It may have children, and ends with the thread that started it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: list[_Process] = []
        self._busy: dict[Connection, tuple[_Process, Job]] = {}

    @property
    def has_room(self) -> bool:
        return len(self._busy) < self._size

    @property
    def running(self) -> list[Job]:
        return [job for _, job in self._busy.values()]

    def begin(self, job: Job) -> None:
        """Hand the job to a process. One that has died is told by `ended`, as if it had died of the job."""
        process = self._idle.pop() if self._idle else _Process()
        self._busy[process.connection] = process, job
        with contextlib.suppress(OSError):
            process.connection.send(job)

    def ended(self, wait_seconds: float) -> list[Ended]:
        """The jobs that ended since the last call; waits for the first of them, but not longer than told."""
        return [self._end_of(line) for line in wait(list(self._busy), wait_seconds) if isinstance(line, Connection)]

    def _end_of(self, line: Connection) -> Ended:
        process, job = self._busy.pop(line)
        try:
            outcome = line.recv()
        except (EOFError, OSError):
            return Ended(job, _lost(job, process.kill()))
        self._idle.append(process)
        return Ended(job, outcome)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, _ in self._busy.values():
            process.kill()
        for process in self._idle:
            process.dismiss()


class _Process:
    """A process and this end of the line to it."""

    def __init__(self) -> None:
        self.connection, far_end = multiprocessing.Pipe()
        with closing(far_end):
            self._process = _SPAWN.Process(target=_work, args=(far_end,))
            self._process.start()

    def dismiss(self) -> None:
        """Let it end by itself."""
        self.connection.close()
        self._process.join(LEAVE_SECONDS)
        self.kill()

    def kill(self) -> int | None:
        """Kill it with the processes it trains in, and return its exit code: negative, the signal it died of."""
        self.connection.close()
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.kill()
        self._process.join()
        return self._process.exitcode


def _work(line: Connection) -> None:
    """Run the markets that come down the line, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the starter's to answer
    if (end_with_starter := end_with_parent(signal.SIGKILL)) is not None:
        end_with_starter()
    with closing(line):
        try:
            while True:
                line.send(run_market(line.recv()))
        except (EOFError, ConnectionError):
            return


def _lost(job: Job, exit_code: int | None) -> Interruption:
    cause = signal.Signals(-exit_code).name if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"
    return Interruption(
        "GATECHECK_MARKET_LOST",
        f"the process of market {job.market.name} died ({cause}) before it was finished",
        where=str(job.log),
        remedy="see whether memory ran out, and start again, with fewer --workers where it did",
    )
