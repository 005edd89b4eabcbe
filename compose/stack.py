"""One stack: its name, its folder of secrets and configuration, and the variables docker-compose.yaml asks for."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from compose.secrets_folder import STORE_ADDRESS, read_given
from core.errors import InputError, TransientError

REPOSITORY: Final = Path(__file__).resolve().parent.parent
SOCKET: Final = "/var/run/docker.sock"
Storage = Literal["local", "s3"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,40}")


@dataclass(frozen=True)
class Ports:
    """Where a stack is served, on this machine alone: Airflow, the watcher's metrics, Prometheus and Grafana."""

    airflow: int
    watch: int
    prometheus: int
    grafana: int


@dataclass(frozen=True)
class Stack:
    """What tells one stack from another on the same engine.

    `home` holds its secrets, which only its owner can read, and the configuration it runs with; `scale` is Celery
    workers instead of the scheduler's processes, `metrics` a Prometheus and a Grafana of its own, `storage` where the
    archive lies.
    """

    name: str
    home: Path
    ports: Ports
    scale: bool
    metrics: bool
    storage: Storage

    @classmethod
    def named(cls, name: str, home: Path, ports: Ports, *, scale: bool, metrics: bool, storage: Storage) -> Stack:
        """Raises InputError where the name is none the engine takes."""
        if not _NAME.fullmatch(name):
            raise InputError(
                "COMPOSE_STACK_NAME",
                f"{name!r} is no name of a stack",
                where="STACK",
                remedy="give it small letters, digits and dashes",
            )
        return cls(name, home.expanduser().resolve() / name, ports, scale, metrics, storage)

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def configuration(self) -> Path:
        return self.home / "configs"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports.airflow}"

    @property
    def profiles(self) -> list[str]:
        """Those of docker-compose.yaml that run beside what always does."""
        return [name for name, wanted in (("scale", self.scale), ("metrics", self.metrics)) if wanted]

    def variables(self, service_environment: str) -> dict[str, str]:
        """Environment of the Compose command."""
        stored = self.storage == "s3"
        return {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_PROFILES": ",".join(self.profiles),
            "STACK_NAME": self.name,
            "VERSION": version(),
            "SERVICE_ENV": service_environment,
            "STORAGE_BACKEND": self.storage,
            **{name.upper(): read_given(self.secrets, name) if stored else "" for name in STORE_ADDRESS},
            "LOG_LEVEL": "INFO",
            "AIRFLOW_EXECUTOR": "CeleryExecutor" if self.scale else "LocalExecutor",
            "AIRFLOW_BIND": f"127.0.0.1:{self.ports.airflow}",
            "AIRFLOW_BASE_URL": self.address,
            "METRICS_BIND": f"127.0.0.1:{self.ports.watch}",
            "PROMETHEUS_BIND": f"127.0.0.1:{self.ports.prometheus}",
            "GRAFANA_BIND": f"127.0.0.1:{self.ports.grafana}",
            "CONFIG_SOURCE": str(self.configuration),
            "SECRETS_SOURCE": str(self.secrets),
            "ENGINE_SOCKET": SOCKET,
            "ENGINE_GROUP": str(_group(SOCKET)),
        }


def version() -> str:
    """The product's version, which is the images' tag."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def _group(socket: str) -> int:
    try:
        return Path(socket).stat().st_gid
    except OSError as error:
        raise TransientError(
            "COMPOSE_ENGINE_ABSENT",
            f"there is no container engine: {error.strerror}",
            where=socket,
            remedy="start the Docker engine, then run the same again",
        ) from error
