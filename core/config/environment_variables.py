"""Environment variables a process needs, each readable from NAME or from the file NAME_FILE names (SPEC SEC-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from core.config.environment import Environment
from core.config.faults import ConfigurationError, Fault
from core.config.ml_core_storage import MlCoreStorage

StorageBackend = Literal["local", "s3"]
ALWAYS_REQUIRED: Final = ("POSTGRES_URL", "REDIS_URL", "SERVICE_ENV", "LOG_LEVEL", "TZ")
BACKEND: Final = "STORAGE_BACKEND"
S3_VARIABLES: Final = ("S3_ENDPOINT_URL", "S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
"""Required on top of the others where the storage backend is s3."""
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True)
class EnvironmentVariables:
    """Checked variables. Values that may hold secrets never show in a repr."""

    service_env: str
    log_level: str
    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    others: Mapping[str, str] = field(repr=False)

    @property
    def archive_path(self) -> Path:
        """Absolute folder that holds every storage root. Raises ConfigurationError where the variable is not set."""
        if "ARCHIVE_PATH" not in self.others:
            raise ConfigurationError([Fault("ENV", "ARCHIVE_PATH", "an absolute folder")], "process environment")
        return Path(self.others["ARCHIVE_PATH"])

    @property
    def storage_backend(self) -> str:
        """`local` or `s3`."""
        return self.others[BACKEND]


def read_service_environment(environ: Mapping[str, str]) -> str:
    """SERVICE_ENV, which has to be known before the configuration can be read."""
    return read_required("SERVICE_ENV", environ, "dev, stg or prod")


def read_required(name: str, environ: Mapping[str, str], expected: str = "a value") -> str:
    """One variable, from NAME or NAME_FILE. Raises ConfigurationError where it is missing or unreadable."""
    try:
        value = _resolve(name, environ)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([_unreadable(name, error)], "process environment") from error
    if value is None:
        raise ConfigurationError([Fault("ENV", name, expected)], "process environment")
    return value


def required_names(environment: Environment, storage: MlCoreStorage, backend: StorageBackend | None) -> tuple[str, ...]:
    """Names of the variables a task needs, each once; `backend` is the one in use, None where it is not known."""
    chosen = (BACKEND,) if storage.backend == "variable" else ()
    store = S3_VARIABLES if backend == "s3" else ()
    return tuple(dict.fromkeys((*ALWAYS_REQUIRED, *environment.required_variables, *chosen, *store)))


def read_variables(
    environ: Mapping[str, str], environment: Environment, storage: MlCoreStorage
) -> EnvironmentVariables:
    """Check all variables this environment and its storage backend need.

    Raises:
        ConfigurationError: naming every variable that is missing or wrong.
    """
    faults: list[Fault] = []
    values: dict[str, str] = {}
    backend = _backend(environ, storage, faults)
    for name in required_names(environment, storage, backend):
        try:
            value = _resolve(name, environ)
        except (OSError, UnicodeDecodeError) as error:
            faults.append(_unreadable(name, error))
            continue
        if value is None:
            wanted = "with the storage backend s3" if name in S3_VARIABLES else f"in {environment.name}"
            faults.append(Fault("ENV", name, f"this variable (or {name}_FILE) is required {wanted}"))
        else:
            values[name] = value
    if values.get("TZ", "UTC") != "UTC":
        faults.append(Fault("ENV", "TZ", f"UTC, not {values['TZ']!r}"))
    if values.get("LOG_LEVEL", "INFO") not in LOG_LEVELS:
        faults.append(Fault("ENV", "LOG_LEVEL", f"one of {', '.join(LOG_LEVELS)}"))
    if not _is_address(values.get("POSTGRES_URL", "postgresql://"), "postgresql://"):
        faults.append(Fault("ENV", "POSTGRES_URL", "an address postgresql://host:port/database"))
    if not _is_address(values.get("REDIS_URL", "redis://"), "redis://", "rediss://", "unix://"):
        faults.append(Fault("ENV", "REDIS_URL", "an address redis://host:port/0, rediss://… or unix:///socket"))
    webhook = values.get("SLACK_WEBHOOK_URL", "https://")
    if not _is_address(webhook, "https://", "http://") or not (webhook.isascii() and webhook.isprintable()):
        faults.append(Fault("ENV", "SLACK_WEBHOOK_URL", "the address https://… of an incoming webhook"))
    if not _is_address(values.get("S3_ENDPOINT_URL", "http://"), "http://", "https://"):
        faults.append(Fault("ENV", "S3_ENDPOINT_URL", "an address https://host or http://host:port"))
    if not Path(values.get("ARCHIVE_PATH", "/")).is_absolute():
        faults.append(Fault("ENV", "ARCHIVE_PATH", "an absolute folder"))
    if faults:
        raise ConfigurationError(faults, "process environment")
    return EnvironmentVariables(
        service_env=values["SERVICE_ENV"],
        log_level=values["LOG_LEVEL"],
        postgres_url=values["POSTGRES_URL"],
        redis_url=values["REDIS_URL"],
        others={name: value for name, value in values.items() if name not in ALWAYS_REQUIRED}
        | ({BACKEND: backend} if backend else {}),
    )


def _backend(environ: Mapping[str, str], storage: MlCoreStorage, faults: list[Fault]) -> StorageBackend | None:
    """The backend configuration and STORAGE_BACKEND agree on; None, and a fault added, where they do not."""
    try:
        chosen = _resolve(BACKEND, environ)
    except (OSError, UnicodeDecodeError):
        return None
    if chosen is None:
        return None if storage.backend == "variable" else storage.backend
    if storage.backend not in {"variable", chosen}:
        expected = f"{storage.backend}, which ml_core_storage.yaml says, not {chosen!r}"
        faults.append(Fault("ENV", BACKEND, f"{expected}; its backend `variable` leaves the choice to this variable"))
        return None
    for backend in get_args(StorageBackend):
        if chosen == backend:
            return backend  # type: ignore[no-any-return]
    faults.append(Fault("ENV", BACKEND, f"one of {', '.join(get_args(StorageBackend))}, not {chosen!r}"))
    return None


def _is_address(url: str, *beginnings: str) -> bool:
    """Whether it begins as it should, and host and port can be read from it."""
    try:
        urlsplit(url).port  # noqa: B018 - reading the port checks it
    except ValueError:
        return False
    return url.startswith(beginnings)


def _unreadable(name: str, error: OSError | UnicodeDecodeError) -> Fault:
    reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
    return Fault("ENV", f"{name}_FILE", f"a readable file ({reason})")


def _resolve(name: str, environ: Mapping[str, str]) -> str | None:
    if environ.get(name):
        return environ[name]
    file = environ.get(f"{name}_FILE")
    if not file:
        return None
    return Path(file).read_text(encoding="utf-8").strip() or None
