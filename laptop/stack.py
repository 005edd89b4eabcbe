"""PostgreSQL, Redis and Airflow of one state folder: started together, ended together."""

from __future__ import annotations

import contextlib
import datetime
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from core.errors import BlockedError, CoreError, InputError, QualityError, TransientError
from laptop.airflow_api import AirflowApi
from laptop.environment import AIRFLOW_USER, airflow_environment, task_environment
from laptop.flows import FLOWS
from laptop.leftovers import end_processes
from laptop.servers import EmbeddedPostgres, EmbeddedRedis
from laptop.state_folder import StateFolder, write_private

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 15.0
LOG_TAIL_BYTES: Final = 3000
_POLL_SECONDS: Final = 0.2
_ERRORS: Final[Mapping[int, type[CoreError]]] = {
    error.exit_code: error for error in (QualityError, BlockedError, InputError, TransientError)
}
_PREPARATION: Final = (("database", "upgrade"), ("keys", "init"))


class Stack:
    """Start-up and recovery are one path: whatever an earlier run left in the folder is ended or taken up."""

    def __init__(self, state: StateFolder, config_root: Path, say: Callable[[str], None]) -> None:
        self._state = state
        self._config_root = config_root
        self._say = say
        self._postgres = EmbeddedPostgres(state.postgres)
        self._redis = EmbeddedRedis(state.redis)
        self._airflow: subprocess.Popen[bytes] | None = None
        self._started = datetime.datetime.now(datetime.UTC)
        self._told = time.monotonic()
        self.environment: Mapping[str, str] = {}
        self.address = ""
        self._execution = ""
        self.password = state.secrets().airflow_password

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        if ended := stop_stack(self._state):
            self._say(f"Ended {ended} processes an earlier run left behind.")
        self._say("Starting PostgreSQL, Redis and Airflow …")
        self._postgres.start()
        redis_url = self._redis.start()
        core_url = self._postgres.create_database("core")
        airflow_url = self._postgres.create_database("airflow")
        self.environment = task_environment(self._state, self._config_root, core_url, redis_url)
        port, execution_port = free_ports(2)
        self._execution = f"http://127.0.0.1:{execution_port}/execution/health"
        self.address = f"http://127.0.0.1:{port}"
        airflow = airflow_environment(self.environment, self._state, airflow_url, port, execution_port)
        self._started = datetime.datetime.now(datetime.UTC)
        with self._airflow_log.open("ab") as log:
            self._airflow = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "laptop.airflow_server", str(execution_port)],
                cwd=self._state.airflow,
                env=airflow,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._prepare()
        running = {"airflow": self.address, "user": AIRFLOW_USER, "password": self.password}
        variables = ("CONFIG_ROOT", "SERVICE_ENV", "LOG_LEVEL", "TZ", "ARCHIVE_PATH", "POSTGRES_URL", "REDIS_URL")
        running |= {name: self.environment[name] for name in variables}
        write_private(self._state.running, running)

    def _prepare(self) -> None:
        """Schemas and keys, while Airflow starts. Raises TransientError with a task's own words where one fails."""
        for words in _PREPARATION:
            run_command(words, self._config_root, self.environment)

    def wait_for_airflow(self) -> AirflowApi:
        """A client of the running Airflow, once it has read all flows; runs a killed stack left are ended.

        Raises:
            TransientError: Airflow ended or did not come up, or cannot read the flows; with the end of its log.
        """
        api = AirflowApi(self.address, AIRFLOW_USER, self.password)
        deadline = time.monotonic() + START_SECONDS
        while not (api.healthy(self._execution) and api.parsed_since(list(FLOWS), self._started)):
            self.check()
            if time.monotonic() > deadline:
                errors = "\n".join(api.import_errors()) if api.healthy(self._execution) else ""
                raise self._airflow_failure(f"was not ready in {START_SECONDS:.0f} s\n{errors}".strip())
            time.sleep(_POLL_SECONDS)
        for flow in FLOWS:
            api.unpause(flow)
            if ended := api.fail_unfinished_runs(flow):
                self._say(f"Ended {ended} unfinished run(s) of {flow} that an earlier stack left behind.")
        return api

    def age(self) -> float:
        """Seconds since it was told to start."""
        return time.monotonic() - self._told

    def check(self) -> None:
        """Raise TransientError where Airflow has ended by itself."""
        if self._airflow is not None and self._airflow.poll() is not None:
            raise self._airflow_failure(f"ended with {self._airflow.returncode}")

    def stop(self) -> None:
        """End everything this stack started."""
        if self._airflow is not None:
            self._airflow.terminate()
            try:
                self._airflow.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._airflow.kill()
                self._airflow.wait()
            self._airflow = None
        stop_stack(self._state)

    @property
    def _airflow_log(self) -> Path:
        return self._state.logs / "airflow.log"

    def _airflow_failure(self, what: str) -> TransientError:
        return TransientError(
            "LAPTOP_AIRFLOW_FAILED",
            f"Airflow {what}\n{tail(self._airflow_log)}",
            where=str(self._airflow_log),
            remedy="read the end of that log above, then run again",
        )


def run_command(words: Sequence[str], config_root: Path, environment: Mapping[str, str]) -> None:
    """Run ``python -m tasks`` to its end. Raises the error its exit code stands for where it fails."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "tasks", "--config", str(config_root), *words],
        cwd=environment["ARCHIVE_PATH"],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise _ERRORS.get(done.returncode, CoreError)(
            "LAPTOP_COMMAND_FAILED",
            done.stderr.strip()[-LOG_TAIL_BYTES:] or f"it exited with {done.returncode}",
            where="python -m tasks " + " ".join(words),
            remedy="do what the message says, then run again",
        )


def stop_stack(state: StateFolder) -> int:
    """End every process of a state folder, whoever started it; returns how many were found."""
    ended = end_processes(state.root)
    for server in (EmbeddedRedis(state.redis), EmbeddedPostgres(state.postgres)):
        if server.running():
            server.stop()
            ended += 1
    state.running.unlink(missing_ok=True)
    return ended


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def tail(log: Path) -> str:
    """The end of a log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
        return file.read().decode(errors="replace").strip()
