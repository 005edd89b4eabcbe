"""A real S3 endpoint, and stores on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from core.config.loader import load_settings
from core.stores.object_storage.s3 import S3Address, S3Storage
from laptop.servers import EmbeddedPostgres
from tests.fixtures import s3_server
from tests.fixtures.config_tree import CONFIGS
from tests.fixtures.s3_server import S3Server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 endpoint that lives as long as the test session."""
    with s3_server.running() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """An empty bucket of the test's own."""
    name = f"bucket-{next(_numbers)}"
    s3.make_bucket(name)
    return name


def open_bucket(server: S3Server, bucket: str) -> S3Storage:
    """A store in a bucket, with the product's settings."""
    address = S3Address.from_variables(server.environ(bucket))
    return S3Storage(address, load_settings(CONFIGS, "dev").ml_core_storage.s3)


@pytest.fixture(scope="session")
def storage_url(postgres_server: EmbeddedPostgres, _migrated_template: str) -> str:
    """A database for the locks, and a registry for those who need none of their own."""
    return postgres_server.create_database("storage", template=_migrated_template)


@pytest.fixture
def objects(s3: S3Server, bucket: str) -> S3Storage:
    """A store in a bucket of the test's own."""
    return open_bucket(s3, bucket)
