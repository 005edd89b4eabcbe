"""One market from its bars to the verdict, by the tasks' own bodies, in the calling process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.config.environment_variables import EnvironmentVariables
from core.config.loader import load_settings
from core.config.settings import Settings
from core.errors import BlockedError
from core.stores.roots import StorageRoots
from core.telemetry.logs import configure_logs
from core.telemetry.progress import LoggedProgress
from gatecheck.config_tree import ENVIRONMENT
from tasks.backtest import backtest_run
from tasks.catalog import catalog_lake
from tasks.context import TaskContext, TaskResult
from tasks.features import build_run
from tasks.gate import run_gate_of
from tasks.gates import Gate
from tasks.ingest import import_bars
from tasks.theta import theta_run
from tasks.train import train_run


@dataclass(frozen=True)
class Ended:
    """How a chain ended: the verdict's own content, or why it is blocked; seconds by stage."""

    outcome: Literal["approved", "rejected", "blocked"]
    reasons: tuple[str, ...]
    verdict: dict[str, Any] | None
    seconds: dict[str, float]


@dataclass
class Chain:
    """A market's configuration tree, state folder and database; `trace_id` names it in the log."""

    config_root: Path
    archive: Path
    postgres_url: str
    trace_id: str
    on_stage: Callable[[str], None]

    def run(self) -> Ended:
        """Run every task up to the verdict.

        Raises:
            CoreError: a task failed otherwise than by being blocked.
        """
        settings = load_settings(self.config_root, ENVIRONMENT)
        seconds: dict[str, float] = {}
        try:
            self._task(settings, "ingest", seconds, lambda context: import_bars(context, None, self.trace_id, None))
            found = self._task(settings, "catalog", seconds, lambda context: catalog_lake(context, None)).outputs
            run_id, version = found["run_id"], found["model_version"]
            self._gate(settings, seconds, run_id, Gate.CANONICAL)
            self._gate(settings, seconds, run_id, Gate.INDEX)
            self._task(settings, "features", seconds, lambda context: build_run(context, run_id))
            self._gate(settings, seconds, run_id, Gate.FEATURES)
            self._task(settings, "train", seconds, lambda context: train_run(context, run_id, version))
            self._gate(settings, seconds, run_id, Gate.PREDICTIONS)
            self._task(settings, "backtest", seconds, lambda context: backtest_run(context, run_id, version))
            self._task(settings, "theta", seconds, lambda context: theta_run(context, run_id, version))
        except BlockedError as error:
            return Ended("blocked", (str(error),), None, seconds)
        run = self._context(settings, "verdict").run(run_id)
        verdict = json.loads(run.verdict.read_text(encoding="utf-8"))
        return Ended(verdict["status"], tuple(verdict["reasons"]), verdict, seconds)

    def _gate(self, settings: Settings, seconds: dict[str, float], run_id: str, name: Gate) -> None:
        self._task(settings, f"gate {name}", seconds, lambda context: run_gate_of(context, name, run_id))

    def _task(
        self, settings: Settings, name: str, seconds: dict[str, float], body: Callable[[TaskContext], TaskResult]
    ) -> TaskResult:
        self.on_stage(name)
        start = time.monotonic()
        try:
            return body(self._context(settings, name))
        finally:
            seconds[name] = round(time.monotonic() - start, 2)

    def _context(self, settings: Settings, task: str) -> TaskContext:
        log = configure_logs("INFO", task=task, trace_id=self.trace_id)
        variables = EnvironmentVariables(
            service_env=ENVIRONMENT,
            log_level="INFO",
            postgres_url=self.postgres_url,
            redis_url="",  # no task up to the verdict speaks to Redis
            others={"ARCHIVE_PATH": str(self.archive)},
        )
        return TaskContext(
            settings=settings,
            variables=variables,
            roots=StorageRoots.below(self.archive, settings.ml_core_storage),
            log=log,
            progress=LoggedProgress(log),
            trace_id=self.trace_id,
            config_root=self.config_root,
        )
