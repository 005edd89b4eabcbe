"""Runs migrations on the connection `core.stores.database.upgrade` hands over; one upgrade at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from core.stores.database import VERSION_SCHEMA
from core.stores.tables import METADATA

_UPGRADE_LOCK = 7_305_221_001

connection: sa.Connection = context.config.attributes["connection"]
connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
context.configure(
    connection=connection,
    target_metadata=METADATA,
    version_table_schema=VERSION_SCHEMA,
    include_schemas=True,
    transactional_ddl=True,
)
context.run_migrations()
