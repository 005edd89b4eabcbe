"""Environment variables of the tasks and of Airflow on a laptop."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from laptop.state_folder import StateFolder, write_private

REPOSITORY: Final = Path(__file__).resolve().parent.parent
MARKER: Final = "ML_ASSETS_CORE_STATE"
"""Every process of a stack carries its state folder in this variable, so that a later run finds what was left."""
SERVICE_ENVIRONMENT: Final = "dev"
AIRFLOW_USER: Final = "admin"
_NOT_INHERITED: Final = ("AIRFLOW", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def task_environment(state: StateFolder, config_root: Path, postgres_url: str, redis_url: str) -> dict[str, str]:
    """What a task needs (SPEC SEC-1), on top of the caller's own environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    search_path = [*filter(None, [os.environ.get("PYTHONPATH")]), str(REPOSITORY)]
    return {
        "LOG_LEVEL": "INFO",
        **inherited,
        MARKER: str(state.root),
        "PYTHONPATH": os.pathsep.join(search_path),
        "PYTHONUNBUFFERED": "1",
        "TYPER_STANDARD_TRACEBACK": "1",
        "CONFIG_ROOT": str(config_root),
        "SERVICE_ENV": SERVICE_ENVIRONMENT,
        "TZ": "UTC",
        "ARCHIVE_PATH": str(state.archive),
        "POSTGRES_URL": postgres_url,
        "REDIS_URL": redis_url,
    }


def airflow_environment(
    tasks: Mapping[str, str], state: StateFolder, database_url: str, port: int, execution_port: int
) -> dict[str, str]:
    """What Airflow needs: LocalExecutor on PostgreSQL, one user, no example, no telemetry, quick scheduling."""
    secrets = state.secrets()
    address = f"http://127.0.0.1:{port}"
    state.airflow.mkdir(exist_ok=True)
    passwords = state.airflow / "passwords.json"
    write_private(passwords, {AIRFLOW_USER: secrets.airflow_password})
    bundle = [
        {
            "name": "dags",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(REPOSITORY / "dags"), "refresh_interval": 3600},
        }
    ]
    options = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "CORE__PLUGINS_FOLDER": str(REPOSITORY / "dags" / "plugins"),
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{execution_port}/execution/",
        "CORE__FERNET_KEY": "",  # no connection or variable of Airflow's is used, so there is nothing to encrypt
        "DATABASE__SQL_ALCHEMY_CONN": database_url.replace("postgresql://", "postgresql+psycopg2://", 1),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": address,
        "API__SECRET_KEY": secrets.api_secret,
        "API__WORKERS": "1",
        "API__INSTANCE_NAME": "ml-assets-core",
        "API_AUTH__JWT_SECRET": secrets.jwt_secret,
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundle),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "5",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # also how late a worker notices that its task has ended
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        "LOGGING__BASE_LOG_FOLDER": str(state.airflow / "logs"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(state.airflow / "logs" / "dag_processor"),
    }
    settings = {f"AIRFLOW__{name}": value for name, value in options.items()}
    # SPT_NOENV: a process title must not overwrite the variables MARKER is found in
    return {**tasks, **settings, "AIRFLOW_HOME": str(state.airflow), "NO_COLOR": "1", "SPT_NOENV": "1"}
