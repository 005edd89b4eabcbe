"""Required environment variables: all of the missing ones are named, files are read, secrets stay out of a repr."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config.environment import Environment
from core.config.environment_variables import ALWAYS_REQUIRED, read_service_environment, read_variables
from core.config.faults import ConfigurationError
from core.config.loader import load_settings
from tests.fixtures.config_tree import CONFIGS


def _environment(name: str) -> Environment:
    return load_settings(CONFIGS, name).environment


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
    variables = read_variables(_whole(), _environment("dev"))
    assert variables.archive_path == Path("/srv/archive")
    assert "hidden" not in repr(variables)


def test_every_missing_variable_is_named() -> None:
    environment = _environment("prod")
    with pytest.raises(ConfigurationError) as caught:
        read_variables({}, environment)
    missing = {fault.key for fault in caught.value.faults}
    assert missing == {*ALWAYS_REQUIRED, *environment.required_variables}
    assert {"TWELVEDATA_API_KEY", "SLACK_WEBHOOK_URL", "PAGERDUTY_INTEGRATION_KEY", "STORAGE_BACKEND"} <= missing


def test_a_variable_may_come_as_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://from-a-file/core\n", encoding="utf-8")
    values = _whole()
    del values["POSTGRES_URL"]
    values["POSTGRES_URL_FILE"] = str(secret)
    assert read_variables(values, _environment("dev")).postgres_url == "postgresql://from-a-file/core"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    values = _whole()
    del values["REDIS_URL"]
    values["REDIS_URL_FILE"] = str(path)
    with pytest.raises(ConfigurationError, match="REDIS_URL_FILE: a readable file"):
        read_variables(values, _environment("dev"))
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
        read_variables({**_whole(), name: value}, _environment("dev"))


def test_an_empty_variable_counts_as_missing() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        read_variables({**_whole(), "REDIS_URL": ""}, _environment("dev"))
    with pytest.raises(ConfigurationError, match="SERVICE_ENV"):
        read_service_environment({})
