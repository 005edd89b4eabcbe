"""Where a task runs: the one place that knows the difference between a process and a container."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, get_args

from airflow.sdk import BaseOperator, Context

from core.config.environment_variables import BACKEND, StorageBackend, required_names
from core.config.faults import ConfigurationError, Fault
from core.config.settings import Settings
from dags.factory.command_line import task_words
from dags.factory.outcome import RETRY_POLICY
from dags.factory.pod_task import PodPlan, PodTask
from dags.factory.process_task import ProcessTask
from dags.factory.report_link import ReportLink

_PLAIN: Final = frozenset({"SERVICE_ENV", "LOG_LEVEL", "TZ", "ARCHIVE_PATH", BACKEND, "S3_ENDPOINT_URL", "S3_BUCKET"})
"""Variables that hold no secret; every other one reaches a container as a mounted file (NAME_FILE)."""
KINDS: Final = {
    "ingest": "data",
    "catalog": "data",
    "gate": "data",
    "features": "training",
    "train": "training",
    "backtest": "judging",
    "theta": "judging",
    "report": "judging",
    "publish": "publishing",
    "refuse": "publishing",
    "infer": "publishing",
    "admit": "control",
    "record-run": "control",
}
"""The kind of work of every task of the chain: a pool of environment.yaml."""
_REPORTING: Final = frozenset({"gate", "report"})


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

    def task(self, name: str, options: Mapping[str, str], flags: Mapping[str, str], **airflow: Any) -> BaseOperator:
        """The operator that runs ``python -m tasks NAME --option=value … --flag …``.

        Args:
            name: the task.
            options: option name → value or Jinja template; an option that renders empty is left out.
            flags: flag name → Jinja expression that says whether it is given.
            airflow: further arguments of the operator: its task_id, and e.g. a trigger_rule.
        """
        words = task_words(self.config_root, name, options, flags)
        operator = self._operator_class(command=words, **self._arguments(name), **airflow)
        if name in _REPORTING:
            operator.operator_extra_links = (ReportLink(),)
        return operator

    def shards(self, name: str, options: Mapping[str, str]) -> list[BaseOperator]:
        """The task in as many parts as `retrain_policy.shards` says, mapped; none where it is one part."""
        count = self.settings.retrain_policy.shards
        if count == 1:
            return []
        parts = [
            task_words(self.config_root, name, {**options, "shard": f"{part}/{count}"}, {})
            for part in range(1, count + 1)
        ]
        mapped = self._operator_class.partial(
            task_id=f"{name}-shards",
            map_index_template=f"{{{{ ti.map_index + 1 }}}}/{count}",
            **self._arguments(name),
        )
        return [mapped.expand(command=parts)]

    def ending_run(self, hook: Callable[[Context], None]) -> Callable[[Context], None]:
        """`hook` before the task that runs when all others of its run have ended; it also removes what they left."""
        if self.settings.environment.runner != "docker":
            return hook
        from dags.factory.container_task import ending_run  # noqa: PLC0415 - as below

        return ending_run(hook)

    def pool(self, kind: str) -> str:
        """The pool of a kind of work."""
        return str(getattr(self.settings.environment.pools, kind).name)

    def _arguments(self, name: str) -> dict[str, Any]:
        """What every try of the task is held to, and what its runner needs."""
        seconds = self.settings.retrain_policy.task_timeout_seconds.of(name)
        return {
            "pool": self.pool(KINDS[name]),
            "execution_timeout": datetime.timedelta(seconds=seconds),
            "retry_policy": RETRY_POLICY,
            **self._runner(seconds),
        }

    @property
    def _operator_class(self) -> Any:
        if self.settings.environment.runner == "process":
            return ProcessTask
        if self.settings.environment.runner == "kubernetes":
            return PodTask
        from dags.factory.container_task import ContainerTask  # noqa: PLC0415 - the Docker client is only there then

        return ContainerTask

    def _runner(self, seconds: int) -> dict[str, Any]:
        """Arguments of the runner's operator. Raises ConfigurationError where variables are missing."""
        environment = self.settings.environment
        if environment.runner == "process":
            return {}
        plain, files = self._container_variables(self._backend)
        if environment.runner == "kubernetes":
            (keys,) = environment.signing.folders
            scratch = self._backend == "s3"
            runner, root = environment.kubernetes, self.config_root
            return {"plan": PodPlan(runner, environment.name, root, plain, files, keys, scratch, seconds)}
        return self._docker(plain, files)

    def _docker(self, plain: Mapping[str, str], files: Mapping[str, str]) -> dict[str, Any]:
        from docker.types import Mount  # noqa: PLC0415 - as above

        docker = self.settings.environment.docker
        volumes, archive = docker.volumes, plain["ARCHIVE_PATH"]
        (keys,) = self.settings.environment.signing.folders
        scratch = self._backend == "s3"  # a volume without a name, which is removed with the container
        return {
            "image": docker.image,
            "environment": {**plain, **files},
            "mounts": [
                Mount(target=archive, source=None if scratch else volumes.archive, type="volume"),
                Mount(target=f"{archive}/{keys}", source=volumes.keys, type="volume", read_only=True),
                Mount(target=self.config_root, source=volumes.config, type="volume", read_only=True),
                Mount(target=_folder_of(files), source=volumes.secrets, type="volume", read_only=True),
            ],
            "network_mode": docker.network,
            "mem_limit": docker.memory_limit,
            "user": docker.user,
            "timeout": int(datetime.timedelta(minutes=1).total_seconds()),  # of a call to the engine, not of the task
            "host": {
                "init": True,  # a task that is process 1 would not hear that it is told to stop
                "memswap_limit": docker.memory_limit,
                "nano_cpus": int(docker.cpus * 1e9),
                "pids_limit": docker.pids_limit,
                "read_only": True,
                "tmpfs": {"/tmp": f"size={docker.tmp_size},mode=1777"},  # noqa: S108 - the container's own
                "cap_drop": ["ALL"],
                "security_opt": ["no-new-privileges:true"],
            },
        }

    @property
    def _backend(self) -> StorageBackend | None:
        """Where the archive lies; None where the environment does not say, which is a missing variable."""
        pinned = self.settings.ml_core_storage.backend
        chosen = self.environ.get(BACKEND) if pinned == "variable" else pinned
        return next((backend for backend in get_args(StorageBackend) if backend == chosen), None)

    def _container_variables(self, backend: StorageBackend | None) -> tuple[dict[str, str], dict[str, str]]:
        """Plain variables, and NAME_FILE → path for secrets. Raises ConfigurationError naming each that is missing."""
        plain: dict[str, str] = {}
        files: dict[str, str] = {}
        faults: list[Fault] = []
        required = required_names(self.settings.environment, self.settings.ml_core_storage, backend)
        for name in sorted({*required, "ARCHIVE_PATH"}):
            variable, values = (name, plain) if name in _PLAIN else (f"{name}_FILE", files)
            if self.environ.get(variable):
                values[variable] = self.environ[variable]
            else:
                faults.append(Fault("ENV", variable, "required where tasks run as containers; a secret is a file"))
        if faults:
            raise ConfigurationError(faults, "environment of the Airflow process")
        return plain, files


def _folder_of(files: Mapping[str, str]) -> str:
    """The one folder all secrets lie in, which a volume holds. Raises ConfigurationError naming each elsewhere."""
    folders = {name: str(PurePosixPath(path).parent) for name, path in files.items()}
    folder = folders["POSTGRES_URL_FILE"]
    faults = [
        Fault("ENV", name, f"a file in {folder}, the folder of POSTGRES_URL_FILE")
        for name, other in folders.items()
        if other != folder
    ]
    if faults:
        raise ConfigurationError(faults, "environment of the Airflow process")
    return folder
