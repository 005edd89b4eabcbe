"""Runs the chain's tasks by their command lines: one subprocess each, as the process runner does, or all in this."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laptop.flows import ADMITTING, FLOWS
from tests.fixtures.command_line import Command

REPOSITORY = Path(__file__).parents[2]
CHAIN = tuple(task for tasks in FLOWS.values() for task in tasks if task != ADMITTING)
"""The chain's steps, retraining not being paused; `gate-NAME` is the task `gate` with that name."""
WITH_VERSION = frozenset({"train", "backtest", "theta", "report", "publish", "infer"})


_GATE = "gate-"


@dataclass(frozen=True)
class Ended:
    """How a task ended: exit code, last JSON line (empty where there is none), and everything on standard error."""

    code: int
    last: dict[str, Any]
    log: str


@dataclass(frozen=True)
class Chain:
    """A state folder, a configuration tree and the servers' addresses."""

    config: Path
    environ: Mapping[str, str]

    @classmethod
    def at(cls, state: Path, config: Path, postgres_url: str, redis_url: str) -> Chain:
        environ = {
            **os.environ,
            "POSTGRES_URL": postgres_url,
            "REDIS_URL": redis_url,
            "SERVICE_ENV": "dev",
            "LOG_LEVEL": "INFO",
            "TZ": "UTC",
            "ARCHIVE_PATH": str(state / "archive"),
        }
        return cls(config=config, environ=environ)

    def command(self, name: str, *options: str) -> list[str]:
        words = [sys.executable, "-m", "tasks", "--config", str(self.config), "--trace-id", "e2e", command_of(name)]
        return [*words, *options]

    def task(self, name: str, *options: str) -> Ended:
        done = subprocess.run(
            self.command(name, *options),
            cwd=REPOSITORY,
            env=dict(self.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        return Ended(done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr)

    def prepare(self) -> None:
        """Database schemas and the signing key pair."""
        for words in (("database", "upgrade"), ("keys", "init")):
            ended = self.task(*words)
            assert ended.code == 0, ended.log

    def run(self, *ingest_options: str, tasks: Sequence[str] = CHAIN) -> dict[str, Ended]:
        """Run the chain until a task fails; every task's end by its name."""
        ends: dict[str, Ended] = {}
        for name in tasks:
            ends[name] = self.task(name, *self.options(name, ends, ingest_options))
            if ends[name].code != 0:
                break
        return ends

    def options(self, name: str, ends: Mapping[str, Ended], ingest_options: Sequence[str] = ()) -> list[str]:
        """A task's options, given how the tasks before it ended."""
        if name == "ingest":
            return list(ingest_options)
        if name == "catalog":
            return []
        identity = ends["catalog"].last["outputs"]
        options = ["--run-id", identity["run_id"]]
        if name.startswith(_GATE):
            options += ["--name", name.removeprefix(_GATE)]
        if name in WITH_VERSION:
            options += ["--model-version", identity["model_version"]]
        if name == "infer":
            options += ["--as-of", identity["as_of"]]
        return options


class ChainHere(Chain):
    """The same command lines, each run to its end in this process: fifteen processes spend most on their imports."""

    def task(self, name: str, *options: str) -> Ended:
        done = Command(self.config, self.environ).run(command_of(name), *options)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        lines = done.stdout.strip().splitlines()
        return Ended(done.exit_code, json.loads(lines[-1]) if lines else {}, done.stderr)


def command_of(name: str) -> str:
    """The command that runs a step of the chain."""
    return "gate" if name.startswith(_GATE) else name


def assert_passed(ends: Mapping[str, Ended]) -> None:
    """Every task of the chain ended with exit code 0."""
    for name, ended in ends.items():
        assert ended.code == 0, f"{name} exited with {ended.code}\n{ended.log[-3000:]}"
    assert tuple(ends) == CHAIN
