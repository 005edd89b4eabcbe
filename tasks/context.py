"""What a task body is handed: settings, checked variables, storage roots, a logger and its progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from core.config.environment_variables import EnvironmentVariables
from core.config.run_configuration import narrowing_of, run_configuration
from core.config.settings import Settings
from core.errors import InputError
from core.stores.files import read_json
from core.stores.roots import StorageRoots, plain_name
from core.stores.run_folder import RunFolder
from core.telemetry.progress import Progress

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class TaskContext:
    """Everything outside the task's own options."""

    settings: Settings
    variables: EnvironmentVariables
    roots: StorageRoots
    log: structlog.stdlib.BoundLogger
    progress: Progress
    trace_id: str
    config_root: Path

    def run_folder(self, run_id: str) -> RunFolder:
        """The folder of a run. Raises InputError where the id names a folder elsewhere."""
        return RunFolder(self.roots.runs / plain_name(run_id, "run id"))

    def run(self, run_id: str) -> RunFolder:
        """The folder of a run this task goes on with.

        Raises:
            InputError: the id names a folder elsewhere, or the run is over other pairs or another period than the task.
        """
        run = self.run_folder(run_id)
        if run.configuration.is_file():
            identified = narrowing_of(read_json(run.configuration))
            given = narrowing_of(run_configuration(self.settings))
            if given != identified:
                raise InputError(
                    "RUN_NARROWING_OTHER",
                    f"the run was identified with {identified}, the task is given {given}",
                    where=str(run.configuration),
                    remedy="give every task of a run the --pairs and --history-months its catalog task was given",
                )
        return run


@dataclass(frozen=True)
class TaskResult:
    """The last line of a task: small, JSON, all that travels between tasks; and the process's exit code."""

    outputs: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    status: str = "done"
    exit_code: int = 0
