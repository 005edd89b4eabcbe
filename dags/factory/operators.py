"""Where a task runs: the one place that knows the difference between a process and a container."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow.sdk import BaseOperator

from core.config.environment_variables import ALWAYS_REQUIRED
from core.config.faults import ConfigurationError, Fault
from core.config.settings import Settings
from dags.factory.command_line import task_words
from dags.factory.pod_task import PodPlan, PodTask
from dags.factory.process_task import ProcessTask

_PLAIN: Final = frozenset({"SERVICE_ENV", "LOG_LEVEL", "TZ", "ARCHIVE_PATH", "STORAGE_BACKEND"})
"""Variables that hold no secret; every other one reaches a container as a mounted file (NAME_FILE)."""


@dataclass(frozen=True)
class TaskFactory:
    """Builds the operator of a task as `environment.yaml` (`runner`) says.

    Args:
        settings: the whole configuration.
        config_root: absolute folder of the configuration, the same path for Airflow and for a task.
        environ: environment variables of the Airflow process.
    """

    settings: Settings
    config_root: str
    environ: Mapping[str, str]

    def task(self, name: str, options: Mapping[str, str], **airflow: Any) -> BaseOperator:
        """The operator that runs ``python -m tasks NAME --option=value …``.

        Args:
            name: the task, which is also its id in the flow.
            options: option name → value or Jinja template; an option that renders empty is left out.
            airflow: further arguments of the operator, e.g. trigger_rule.
        """
        words = task_words(self.config_root, name, options)
        if self.settings.environment.runner == "process":
            return ProcessTask(task_id=name, command=words, **airflow)
        if self.settings.environment.runner == "kubernetes":
            return self._pod(name, words, **airflow)
        return self._container(name, words, **airflow)

    def _pod(self, name: str, words: list[str], **airflow: Any) -> BaseOperator:
        plain, files = self._container_variables()
        environment, deadline = self.settings.environment, self.settings.retrain_policy.task_timeout_seconds
        plan = PodPlan(environment.kubernetes, environment.name, self.config_root, plain, files, deadline)
        return PodTask(task_id=name, command=words, plan=plan, **airflow)

    def _container(self, name: str, words: list[str], **airflow: Any) -> BaseOperator:
        from docker.types import Mount  # noqa: PLC0415 - the Docker client is only there where tasks are containers

        from dags.factory.container_task import ContainerTask  # noqa: PLC0415

        docker = self.settings.environment.docker
        plain, files = self._container_variables()
        folders = [
            Mount(target=plain["ARCHIVE_PATH"], source=plain["ARCHIVE_PATH"], type="bind"),
            Mount(target=self.config_root, source=self.config_root, type="bind", read_only=True),
        ]
        secrets = [Mount(target=path, source=path, type="bind", read_only=True) for path in files.values()]
        return ContainerTask(
            task_id=name,
            image=docker.image,
            command=words,
            environment={**plain, **files},
            mounts=[*folders, *secrets],
            network_mode=docker.network,
            mem_limit=docker.memory_limit,
            timeout=int(datetime.timedelta(minutes=1).total_seconds()),  # of a call to the engine, not of the task
            **airflow,
        )

    def _container_variables(self) -> tuple[dict[str, str], dict[str, str]]:
        """Plain variables, and NAME_FILE → path for secrets. Raises ConfigurationError naming each that is missing."""
        plain: dict[str, str] = {}
        files: dict[str, str] = {}
        faults: list[Fault] = []
        names = {*ALWAYS_REQUIRED, "ARCHIVE_PATH", *self.settings.environment.required_variables}
        for name in sorted(names):
            variable, values = (name, plain) if name in _PLAIN else (f"{name}_FILE", files)
            if self.environ.get(variable):
                values[variable] = self.environ[variable]
            else:
                faults.append(Fault("ENV", variable, "required where tasks run as containers; a secret is a file"))
        if faults:
            raise ConfigurationError(faults, "environment of the Airflow process")
        return plain, files
