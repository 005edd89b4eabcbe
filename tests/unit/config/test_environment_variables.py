"""Required environment variables: all of the missing ones are named, files are read, secrets stay out of a repr."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config.environment import Environment
from core.config.environment_variables import (
    ALWAYS_REQUIRED,
    S3_VARIABLES,
    EnvironmentVariables,
    read_service_environment,
    read_variables,
)
from core.config.faults import ConfigurationError
from core.config.loader import load_settings
from core.config.ml_core_storage import MlCoreStorage
from tests.fixtures.config_tree import CONFIGS


def _environment(name: str) -> Environment:
    return load_settings(CONFIGS, name).environment


def _storage(backend: str) -> MlCoreStorage:
    return load_settings(CONFIGS, "dev").ml_core_storage.model_copy(update={"backend": backend})


def _read(values: dict[str, str], backend: str = "local") -> EnvironmentVariables:
    return read_variables(values, _environment("dev"), _storage(backend))


def _whole() -> dict[str, str]:
    return {
        "POSTGRES_URL": "postgresql://core:hidden@db/core",
        "REDIS_URL": "redis://cache:6379/0",
        "SERVICE_ENV": "dev",
        "LOG_LEVEL": "INFO",
        "TZ": "UTC",
        "ARCHIVE_PATH": "/srv/archive",
    }


def test_dev_needs_no_outside_key() -> None:
    variables = _read(_whole())
    assert variables.archive_path == Path("/srv/archive")
    assert "hidden" not in repr(variables)


def test_every_missing_variable_is_named() -> None:
    environment = _environment("prod")
    with pytest.raises(ConfigurationError) as caught:
        read_variables({}, environment, load_settings(CONFIGS, "prod").ml_core_storage)
    missing = {fault.key for fault in caught.value.faults}
    assert missing == {*ALWAYS_REQUIRED, *environment.required_variables}
    assert {"TWELVEDATA_API_KEY", "SLACK_WEBHOOK_URL", "PAGERDUTY_INTEGRATION_KEY", "STORAGE_BACKEND"} <= missing


def test_a_variable_may_come_as_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://from-a-file/core\n", encoding="utf-8")
    values = _whole()
    del values["POSTGRES_URL"]
    values["POSTGRES_URL_FILE"] = str(secret)
    assert _read(values).postgres_url == "postgresql://from-a-file/core"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    values = _whole()
    del values["REDIS_URL"]
    values["REDIS_URL_FILE"] = str(path)
    with pytest.raises(ConfigurationError, match="REDIS_URL_FILE: a readable file"):
        _read(values)
    with pytest.raises(ConfigurationError, match="SERVICE_ENV_FILE: a readable file"):
        read_service_environment({"SERVICE_ENV_FILE": str(path)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TZ", "Asia/Tokyo"),
        ("LOG_LEVEL", "LOUD"),
        ("POSTGRES_URL", "mysql://x"),
        ("REDIS_URL", "http://x"),
        ("POSTGRES_URL", "postgresql://localhost:port/core"),
        ("POSTGRES_URL", "postgresql://[::1/core"),
        ("REDIS_URL", "redis://localhost:port/0"),
        ("REDIS_URL", "redis://[::1/0"),
        ("ARCHIVE_PATH", "relative/folder"),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        _read({**_whole(), name: value})


def test_an_empty_variable_counts_as_missing() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        _read({**_whole(), "REDIS_URL": ""})
    with pytest.raises(ConfigurationError, match="SERVICE_ENV"):
        read_service_environment({})


_S3 = {
    "S3_ENDPOINT_URL": "http://127.0.0.1:9000",
    "S3_BUCKET": "core",
    "S3_ACCESS_KEY_ID": "writer",
    "S3_SECRET_ACCESS_KEY": "hidden",
}


@pytest.mark.parametrize(
    ("backend", "variable", "used"),
    [
        ("local", None, "local"),
        ("local", "local", "local"),
        ("s3", None, "s3"),
        ("s3", "s3", "s3"),
        ("variable", "local", "local"),
        ("variable", "s3", "s3"),
    ],
)
def test_the_storage_backend_is_what_configuration_and_variable_agree_on(
    backend: str, variable: str | None, used: str
) -> None:
    values = {**_whole(), **_S3, **({"STORAGE_BACKEND": variable} if variable else {})}
    variables = _read(values, backend)
    assert variables.storage_backend == used
    assert (set(_S3) <= set(variables.others)) == (used == "s3")
    assert "hidden" not in repr(variables)


@pytest.mark.parametrize(
    ("backend", "variable"),
    [("local", "s3"), ("s3", "local"), ("variable", "nfs"), ("variable", "variable"), ("variable", "")],
)
def test_a_storage_backend_in_dispute_is_refused(backend: str, variable: str) -> None:
    with pytest.raises(ConfigurationError, match="STORAGE_BACKEND") as caught:
        _read({**_whole(), **_S3, "STORAGE_BACKEND": variable}, backend)
    assert len(caught.value.faults) == 1


def test_every_missing_variable_of_the_store_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        _read(_whole(), "s3")
    assert {fault.key for fault in caught.value.faults} == set(S3_VARIABLES)


def test_an_endpoint_without_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="S3_ENDPOINT_URL"):
        _read({**_whole(), **_S3, "S3_ENDPOINT_URL": "127.0.0.1:9000"}, "s3")
