"""Runs a task as a subprocess of the Airflow worker (`runner: process`)."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, Any, ClassVar, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowTaskTimeout

from dags.factory.command_line import without_empty_options
from dags.factory.outcome import fail, fail_timed_out, read_failure, read_report, read_result

STOP_SECONDS: Final = 10.0
TAIL_LINES: Final = 15
_PR_SET_PDEATHSIG: Final = 1


class ProcessTask(BaseOperator):
    """`python -m tasks …` in a process group of its own; its log lines become Airflow's, its last line the XCom.

    Args:
        command: the words of the command line, templated. The word `python` is the interpreter Airflow runs in.
    """

    template_fields: ClassVar[Sequence[str]] = ("command",)

    def __init__(self, *, command: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.command = list(command)
        self.report: str | None = None
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the task; return its result.

        Raises:
            AirflowFailException: bad input, a failed gate, or a defect: no retry helps.
            AirflowSkipException: something a verdict needs is missing: nothing after it runs.
            TaskRetryableError: a server did not answer, or the task was killed.
            AirflowTaskTimeout: it took too long.
        """
        words = without_empty_options(self.command)
        self.log.info("%s", " ".join(words))
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            start_new_session=True,
            preexec_fn=_end_with_parent(),  # noqa: PLW1509 - only the child can ask for it
        )
        self._process = process
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        try:
            last_line = self._follow(process, tail)
            exit_code = process.wait()
        except AirflowTaskTimeout:
            fail_timed_out(self, context)
            raise
        finally:
            self._end()
        if exit_code == 0:
            self.report = read_report(last_line)
            return read_result(last_line)
        fail(self, context, read_failure(self.task_id, exit_code, last_line, "\n".join(tail)))

    def on_kill(self) -> None:
        """End the whole process group: ask, then kill."""
        self._end()

    def _follow(self, process: subprocess.Popen[str], tail: deque[str]) -> str:
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("the task was started without pipes")
        reader = threading.Thread(target=self._log_lines, args=(process.stderr, tail), daemon=True)
        reader.start()
        last_line = ""
        for line in process.stdout:
            last_line = line.strip() or last_line
        reader.join()
        return last_line

    def _log_lines(self, stream: IO[str], tail: deque[str]) -> None:
        for line in stream:
            text = line.rstrip("\n")
            tail.append(text)
            self.log.log(_level(text), "%s", text)

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return


def _level(line: str) -> int:
    try:
        name = json.loads(line)["level"]
    except (ValueError, KeyError, TypeError):
        return logging.INFO
    return logging.getLevelNamesMapping().get(str(name).upper(), logging.INFO)


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends the task when the worker dies, however it dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))

    return ask
