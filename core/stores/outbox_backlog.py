"""How much of the outbox waits to be delivered; its tables belong to core.telemetry."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from core.stores.database import open_engine, transaction

_DELIVERIES: Final = sa.table("deliveries", sa.column("target"), sa.column("settled"), schema="core")


def undelivered(postgres_url: str) -> dict[str, int]:
    """Deliveries not settled yet, by target. Empty before there is an outbox.

    Raises TransientError where PostgreSQL does not answer.
    """
    waiting = sa.func.count().filter(_DELIVERIES.c.settled.is_(None)).label("waiting")
    query = sa.select(_DELIVERIES.c.target, waiting).group_by(_DELIVERIES.c.target).order_by(_DELIVERIES.c.target)
    with transaction(open_engine(postgres_url)) as connection:
        if connection.scalar(sa.select(sa.func.to_regclass(_DELIVERIES.fullname))) is None:
            return {}
        return {row.target: row.waiting for row in connection.execute(query)}
