"""One stack: its name, its folder of secrets and configuration, and the variables docker-compose.yaml asks for."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from compose.secrets_folder import GIVEN, STORE_ADDRESS, read_given
from core.errors import InputError, TransientError

REPOSITORY: Final = Path(__file__).resolve().parent.parent
SOCKET: Final = "/var/run/docker.sock"
Storage = Literal["local", "s3"]

_ENVIRONMENT: Final = "environment"
_FIRST_ENVIRONMENT: Final = "dev"
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

    `home` holds its secrets, which only its owner can read, and the configuration it runs with; `environment` is
    SERVICE_ENV, `scale` Celery workers instead of the scheduler's processes, `metrics` a Prometheus and a Grafana of
    its own, `storage` where the archive lies.
    """

    name: str
    home: Path
    ports: Ports
    environment: str
    scale: bool
    metrics: bool
    storage: Storage

    @classmethod
    def named(
        cls,
        name: str,
        home: Path,
        ports: Ports,
        *,
        environment: str | None,
        scale: bool,
        metrics: bool,
        storage: Storage,
    ) -> Stack:
        """Without an environment it is the one the stack was made with, dev for a new one.

        Raises InputError where the name is none the engine takes, or the stack was made with another environment.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                "COMPOSE_STACK_NAME",
                f"{name!r} is no name of a stack",
                where="STACK",
                remedy="give it small letters, digits and dashes",
            )
        own = home.expanduser().resolve() / name
        return cls(name, own, ports, _environment(own, environment), scale, metrics, storage)

    def keep_environment(self) -> None:
        """Whoever names this stack again means this environment."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / _ENVIRONMENT).write_text(self.environment, encoding="utf-8")

    def forget_environment(self) -> None:
        """A stack without data may be made anew in another."""
        (self.home / _ENVIRONMENT).unlink(missing_ok=True)

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

    def variables(self) -> dict[str, str]:
        """Environment of the Compose command."""
        stored = self.storage == "s3"
        return {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_PROFILES": ",".join(self.profiles),
            "STACK_NAME": self.name,
            "VERSION": version(),
            "SERVICE_ENV": self.environment,
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
            "SETTINGS_DIGEST": self._settings_digest(),
            "ENGINE_SOCKET": SOCKET,
            "ENGINE_GROUP": str(_group(SOCKET)),
        }

    def _settings_digest(self) -> str:
        """SHA-256 of the configuration and of what an operator gave: who reads them once starts anew on another."""
        digest = hashlib.sha256()
        given = (self.secrets / name for name in GIVEN)
        for path in (*sorted(self.configuration.rglob("*.yaml")), *given):
            digest.update(f"{path.name}\0".encode())
            digest.update(path.read_bytes() if path.is_file() else b"")
        return digest.hexdigest()


def version() -> str:
    """The product's version, which is the images' tag."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def _environment(home: Path, given: str | None) -> str:
    path = home / _ENVIRONMENT
    kept = path.read_text(encoding="utf-8").strip() if path.is_file() else None
    if given and kept and given != kept:
        raise InputError(
            "COMPOSE_STACK_ENVIRONMENT",
            f"the stack {home.name} was made as {kept}, not as {given}",
            where=str(path),
            remedy=f"leave ENVIRONMENT out, or give {given} a stack of its own: STACK=<name>",
        )
    return given or kept or _FIRST_ENVIRONMENT


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
