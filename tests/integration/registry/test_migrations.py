"""The migrations make the tables the code expects."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from core.postgres import open_engine, transaction
from core.stores.database import current_revision, upgrade
from core.stores.tables import METADATA
from core.telemetry.outbox_tables import OUTBOX_METADATA


def test_an_empty_database_reaches_the_newest_revision_and_stays_there(postgres_url: str) -> None:
    assert current_revision(postgres_url) is None
    head = upgrade(postgres_url)
    assert upgrade(postgres_url) == head
    assert current_revision(postgres_url) == head


def test_two_upgrades_at_once_agree(postgres_url: str) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        heads = list(pool.map(upgrade, [postgres_url] * 2))
    assert heads == [current_revision(postgres_url)] * 2


def test_tables_and_migrations_agree(registry_url: str) -> None:
    def ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "schema" or name in {"core", "audit"}

    options = {
        "include_schemas": True,
        "include_name": ours,
        "compare_type": True,
        "version_table_schema": "core",
    }
    metadata = sa.MetaData()
    for table in (*METADATA.tables.values(), *OUTBOX_METADATA.tables.values()):
        table.to_metadata(metadata)
    with transaction(open_engine(registry_url)) as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
