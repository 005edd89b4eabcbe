"""Whether the servers the chain ends at answer, asked before it works for minutes."""

from __future__ import annotations

from core.errors import InputError
from core.stores.bus import Bus
from core.stores.database import current_revision
from tasks.context import TaskContext


def require_servers(context: TaskContext) -> None:
    """Ask PostgreSQL and Redis for a sign of life.

    Raises:
        TransientError: one of them does not answer.
        InputError: PostgreSQL has no schema of ours.
    """
    Bus(context.variables.redis_url).check()
    if current_revision(context.variables.postgres_url) is None:
        raise InputError(
            "DATABASE_SCHEMA_MISSING",
            "the database has no tables of ours",
            where="POSTGRES_URL",
            remedy="run `python -m tasks database upgrade` first",
        )
