"""The version of our schema in PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command as alembic
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.postgres import open_engine, transaction

VERSION_SCHEMA: Final = "core"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def upgrade(postgres_url: str) -> str:
    """Bring the schemas `core` and `audit` to the newest revision, and return it. Harmless when they are there.

    Raises TransientError and InputError as `transaction` does.
    """
    engine = open_engine(postgres_url)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        alembic.upgrade(config, "head")
    head = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    if head is None:
        raise RuntimeError("the package ships no migration")
    return head


def current_revision(postgres_url: str) -> str | None:
    """The schema's revision; None before the first upgrade."""
    with transaction(open_engine(postgres_url)) as connection:
        options = {"version_table_schema": VERSION_SCHEMA}
        return MigrationContext.configure(connection, opts=options).get_current_revision()
