"""Real PostgreSQL and Redis for the tests; each pytest-xdist worker has its own."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import structlog
from hypothesis import settings

from core.stores.database import upgrade
from core.stores.theta_trials import upgrade_trials
from laptop.servers import EmbeddedPostgres, EmbeddedRedis

settings.register_profile("product", deadline=None)  # a loaded machine is no failure
settings.load_profile("product")

_numbers = itertools.count()


_not_ours = structlog.get_config()


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """No test inherits a log set-up of ours from another or its fixtures, whose stream is closed by then."""
    _put_back_logs()
    yield
    _put_back_logs()


def _put_back_logs() -> None:
    """Replace a log set-up of ours by the newest that was not."""
    global _not_ours  # noqa: PLW0603 - structlog's set-up is as global
    if isinstance(structlog.get_config()["logger_factory"], structlog.PrintLoggerFactory):
        structlog.configure(**_not_ours)
    else:
        _not_ours = structlog.get_config()


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A folder outside pytest's: a second session closes that one to the user PostgreSQL drops to."""
    with tempfile.TemporaryDirectory(prefix="ml-assets-core-") as folder:
        yield Path(folder)


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder of the test's own to run servers in."""
    with _open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that lives as long as the test session."""
    with _open_folder() as folder, EmbeddedPostgres(folder / "postgres", durable=False) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL of an empty database of the test's own."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def _migrated_template(postgres_server: EmbeddedPostgres) -> str:
    name = "migrated"
    url = postgres_server.create_database(name)
    upgrade(url)
    upgrade_trials(url)
    return name


@pytest.fixture
def registry_url(postgres_server: EmbeddedPostgres, _migrated_template: str) -> Iterator[str]:
    """URL of a database of the test's own with the newest schema and no rows."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name, template=_migrated_template)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis that lives as long as the test session."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """URL of an empty Redis database."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url
