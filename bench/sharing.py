"""One worker against two: the demonstration's tasks, whole or in parts, on one core each.

One worker runs a task as it is. Two run `--shard=1/2` and `--shard=2/2`, then the task, which does the rest: their time
is the longer part's and the rest's. Of `theta` two run at once, which share the trials. Each round has an archive and a
database of its own. Processor time: what one core does, whatever else the machine is at.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from bench.features import CONFIG
from bench.measurement import Measurement, compare
from laptop.flows import ADMITTING, FLOWS
from laptop.servers import EmbeddedPostgres, EmbeddedRedis

ROUNDS: Final = 3
MEASURED: Final = ("ingest", "features", "train", "theta")
CHAIN: Final = tuple(
    task for flow in FLOWS for task in FLOWS[flow] if task not in {ADMITTING, "report", "publish", "infer"}
)
_GATE: Final = "gate-"
_VERSIONED: Final = frozenset({"train", "backtest", "theta"})


def measure(size: int) -> list[Measurement]:
    """Processor seconds to the end of each task with two workers, beside one; `size` is not used."""
    seconds: dict[int, dict[str, list[float]]] = {workers: {name: [] for name in MEASURED} for workers in (1, 2)}
    with _servers() as (postgres, redis_url), tempfile.TemporaryDirectory(prefix="ml-assets-core-") as folder:
        config = _config(Path(folder))
        for number in range(ROUNDS):
            for workers in (1, 2) if number % 2 else (2, 1):
                url = postgres.create_database(f"round_{number}_{workers}")
                run = _Run(config, Path(folder) / f"{number}-{workers}", url, redis_url)
                for name, taken in run.chain(workers).items():
                    seconds[workers][name].append(taken)
                shutil.rmtree(run.archive)
    return [
        compare(f"{name}_two_workers", "s", seconds[2][name], {"one worker": seconds[1][name]}) for name in MEASURED
    ]


@dataclass(frozen=True)
class _Run:
    """One run of the chain over an archive and a database of its own."""

    config: Path
    archive: Path
    postgres_url: str
    redis_url: str
    _identity: dict[str, Any] = field(default_factory=dict)

    def chain(self, workers: int) -> dict[str, float]:
        """Seconds of each task that is measured."""
        self.archive.mkdir()
        self._done(["database", "upgrade"])
        taken: dict[str, float] = {}
        for name in CHAIN:
            if name in MEASURED:
                taken[name] = self._shared(name, workers)
            else:
                self._done(self._words(name))
        return taken

    def _shared(self, name: str, workers: int) -> float:
        words = self._words(name)
        if workers == 1:
            return self._done(words)
        if name == "theta":
            return self._done(*[words] * workers)
        parts = [self._done([*words, f"--shard={part}/{workers}"]) for part in range(1, workers + 1)]
        return max(parts) + self._done(words)

    def _words(self, name: str) -> list[str]:
        if name.startswith(_GATE):
            return ["gate", f"--name={name.removeprefix(_GATE)}", f"--run-id={self._identity['run_id']}"]
        words = [name] if name in {"ingest", "catalog"} else [name, f"--run-id={self._identity['run_id']}"]
        return [*words, f"--model-version={self._identity['model_version']}"] if name in _VERSIONED else words

    def _done(self, *commands: Sequence[str]) -> float:
        """Run commands side by side, one thread of numerics each; the most processor seconds one took.

        What `catalog` says is kept.
        """
        answers = [self.archive.parent / f"answer-{number}" for number in range(len(commands))]
        processes = [self._started(words, answer) for words, answer in zip(commands, answers, strict=True)]
        seconds = []
        for process, answer in zip(processes, answers, strict=True):
            _, status, usage = os.wait4(process, 0)
            last = json.loads(answer.read_text(encoding="utf-8").splitlines()[-1])
            assert status == 0, last
            seconds.append(usage.ru_utime + usage.ru_stime)
            if last["task"] == "catalog":
                self._identity.update(last["outputs"])
        return max(seconds)

    def _started(self, words: Sequence[str], answer: Path) -> int:
        """The number of the process."""
        command = [sys.executable, "-m", "tasks", "--config", str(self.config), "--trace-id", "bench", *words]
        to_answer = (os.POSIX_SPAWN_OPEN, 1, str(answer), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        return os.posix_spawn(sys.executable, command, self._variables, file_actions=[to_answer])

    @property
    def _variables(self) -> Mapping[str, str]:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        given = {"POSTGRES_URL": self.postgres_url, "REDIS_URL": self.redis_url, "ARCHIVE_PATH": str(self.archive)}
        return {**os.environ, **threads, **given, "SERVICE_ENV": "dev", "LOG_LEVEL": "ERROR", "TZ": "UTC"}


@contextmanager
def _servers() -> Iterator[tuple[EmbeddedPostgres, str]]:
    with (
        tempfile.TemporaryDirectory(prefix="ml-assets-core-") as folder,
        EmbeddedPostgres(Path(folder) / "pg") as postgres,
        EmbeddedRedis(Path(folder) / "redis") as redis,
    ):
        yield postgres, redis.url


def _config(folder: Path) -> Path:
    """The product's configuration with one process a task."""
    root = Path(shutil.copytree(CONFIG, folder / "configs"))
    path = root / "base" / "retrain_policy.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["workers"]["value"] = 1
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return root
