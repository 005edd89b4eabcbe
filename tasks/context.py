"""What a task body is handed: settings, checked variables, storage roots, a logger and its progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

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


class Storage(Protocol):
    """Where the folders of the archive come from and go to, beyond this machine."""

    def pull(self, *folders: Path) -> None:
        """Have folders here as they are stored."""

    def flush(self, folder: Path) -> None:
        """Have what was written to a folder stored before anybody is told of it."""


class LocalStorage:
    """The archive is on this machine: nothing to fetch, nothing to send."""

    def pull(self, *folders: Path) -> None:
        """They are here."""

    def flush(self, folder: Path) -> None:
        """It is stored."""


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
    storage: Storage = field(default_factory=LocalStorage)

    def run_folder(self, run_id: str) -> RunFolder:
        """The folder of a run, as it is stored. Raises InputError where the id names a folder elsewhere."""
        return RunFolder(self._stored(self.roots.runs / plain_name(run_id, "run id")))

    def bundle(self, model_version: str) -> Path:
        """The folder of a version's bundle. Raises InputError where the version names a folder elsewhere."""
        return self._stored(self.roots.models / plain_name(model_version, "model version"))

    def shared_bundle(self, model_version: str) -> Path:
        """The copy of a bundle that inference reads. Raises as `bundle` does."""
        return self._stored(self.roots.shared / plain_name(model_version, "model version"))

    def _stored(self, folder: Path) -> Path:
        self.storage.pull(folder)
        return folder

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
