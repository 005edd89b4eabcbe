"""Airflow's API servers, scheduler and DAG processor from one process: `python -m laptop.airflow_server PORT`.

Importing Airflow takes seconds, so it is imported once and each component is a fork of that process; the database is
migrated in a fork of its own, and the process that forks never opens a connection. The execution API, which tasks talk
to on PORT, is a server beside the UI's: each takes five seconds to build, and there are two cores. The triggerer is
left out: no task of ours defers. When any component ends, the others are ended too, and the exit code says so.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

STOP_SECONDS: Final = 8.0
_POLL_SECONDS: Final = 0.05
_ROUTES: Final = {"core_api": ("app", "routes.public", "routes.ui"), "execution_api": ("app", "routes")}
_PR_SET_PDEATHSIG: Final = 1


def main(execution_port: str) -> int:
    """Run until told to stop or until a component ends. Returns 0 when told to stop."""
    _end_with_parent()
    gc.set_threshold(200_000, 50, 100)  # collections take a fifth of the start: most of what is made here stays
    stop = _StopRequest()
    from airflow.cli.commands import dag_processor_command, scheduler_command  # noqa: F401, PLC0415 - shared by forks
    from airflow.utils.db import initdb  # noqa: PLC0415

    gate = _Gate()
    execution = ("api-server", "--apps", "execution", "--port", execution_port)
    components = {
        _fork(lambda: _serve("core_api", gate, "api-server", "--apps", "core")): "api-server",
        _fork(lambda: _serve("execution_api", gate, *execution)): "execution API",
    }
    migration = _fork(initdb)
    _, status = os.waitpid(migration, 0)
    if status != 0:
        sys.stderr.write("Airflow's database could not be migrated\n")
        _end(components)
        return 1
    gate.open()
    components[_fork(lambda: _airflow("scheduler", "--skip-serve-logs"))] = "scheduler"
    components[_fork(lambda: _airflow("dag-processor"))] = "dag-processor"
    while not stop.requested:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in components:
            sys.stderr.write(f"Airflow's {components.pop(pid)} ended with {os.waitstatus_to_exitcode(status)}\n")
            _end(components)
            return 1
        time.sleep(_POLL_SECONDS)
    _end(components)
    return 0


class _StopRequest:
    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


class _Gate:
    """Forks wait at it until the process that made it opens it, or dies."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def open(self) -> None:
        os.write(self._write, b"..")

    def wait(self) -> None:
        os.close(self._write)
        if not os.read(self._read, 1):
            os._exit(1)


def _serve(api: str, gate: _Gate, *words: str) -> None:
    """Import the routes, which takes seconds, while the database is migrated; serve them once it is."""
    for module in _ROUTES[api]:
        importlib.import_module(f"airflow.api_fastapi.{api}.{module}")
    gate.wait()
    _airflow(*words)


def _airflow(*words: str) -> None:
    from airflow.__main__ import main as command  # noqa: PLC0415

    sys.argv = ["airflow", *words]
    command()


def _fork(body: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    _run_forked(body)


def _run_forked(body: Callable[[], None]) -> NoReturn:
    """Run `body` as a process of its own; nothing of the parent's runs after it."""
    code = 1
    try:
        _end_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        body()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - the last frame of this process: report, then leave
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end(components: dict[int, str]) -> None:
    """Ask every component to stop, and kill what is still there after STOP_SECONDS."""
    deadline = time.monotonic() + STOP_SECONDS
    left = set(components)
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    while left:
        ended, _ = os.waitpid(-1, os.WNOHANG)
        left.discard(ended)
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(_POLL_SECONDS)


def _end_with_parent() -> None:
    """On Linux the kernel sends SIGTERM when the parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
