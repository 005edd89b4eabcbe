"""Airflow for tests: a home of its own, no example flows, no database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "dags" / "plugins")

PROCESS = {"SERVICE_ENV": "dev", "CONFIG_ROOT": str(REPOSITORY / "configs")}
DOCKER = {
    "SERVICE_ENV": "stg",
    "CONFIG_ROOT": str(REPOSITORY / "configs"),
    "LOG_LEVEL": "INFO",
    "TZ": "UTC",
    "STORAGE_BACKEND": "local",
    "ARCHIVE_PATH": "/srv/archive",
    "POSTGRES_URL_FILE": "/run/secrets/postgres_url",
    "REDIS_URL_FILE": "/run/secrets/redis_url",
    "TWELVEDATA_API_KEY_FILE": "/run/secrets/twelvedata_api_key",
    "SLACK_WEBHOOK_URL_FILE": "/run/secrets/slack_webhook_url",
}


def load_flows(environment: Mapping[str, str]) -> Any:
    """Every flow as Airflow reads it from the files, under these environment variables."""
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        for name in {*PROCESS, *DOCKER}:
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        return DagBag(str(REPOSITORY / "dags"))


@pytest.fixture(scope="session")
def process_flows() -> Any:
    """The flows of a laptop: tasks are processes."""
    return load_flows(PROCESS)


@pytest.fixture(scope="session")
def docker_flows() -> Any:
    """The flows of staging: tasks are containers."""
    return load_flows(DOCKER)


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables, in its home."""
    from airflow.utils.db import initdb

    initdb()
