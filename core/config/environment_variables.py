"""Environment variables a process needs, each readable from NAME or from the file NAME_FILE names (SPEC SEC-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from core.config.environment import Environment
from core.config.faults import ConfigurationError, Fault

ALWAYS_REQUIRED: Final = ("POSTGRES_URL", "REDIS_URL", "SERVICE_ENV", "LOG_LEVEL", "TZ")
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


def read_service_environment(environ: Mapping[str, str]) -> str:
    """SERVICE_ENV, which has to be known before the configuration can be read."""
    try:
        value = _resolve("SERVICE_ENV", environ)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([_unreadable("SERVICE_ENV", error)], "process environment") from error
    if value is None:
        raise ConfigurationError([Fault("ENV", "SERVICE_ENV", "dev, stg or prod")], "process environment")
    return value


def read_variables(environ: Mapping[str, str], environment: Environment) -> EnvironmentVariables:
    """Check all variables this environment needs.

    Raises:
        ConfigurationError: naming every variable that is missing or wrong.
    """
    faults: list[Fault] = []
    values: dict[str, str] = {}
    for name in (*ALWAYS_REQUIRED, *environment.required_variables):
        try:
            value = _resolve(name, environ)
        except (OSError, UnicodeDecodeError) as error:
            faults.append(_unreadable(name, error))
            continue
        if value is None:
            faults.append(Fault("ENV", name, f"this variable (or {name}_FILE) is required in {environment.name}"))
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
    if not Path(values.get("ARCHIVE_PATH", "/")).is_absolute():
        faults.append(Fault("ENV", "ARCHIVE_PATH", "an absolute folder"))
    if faults:
        raise ConfigurationError(faults, "process environment")
    return EnvironmentVariables(
        service_env=values["SERVICE_ENV"],
        log_level=values["LOG_LEVEL"],
        postgres_url=values["POSTGRES_URL"],
        redis_url=values["REDIS_URL"],
        others={name: values[name] for name in environment.required_variables},
    )


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
