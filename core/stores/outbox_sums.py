"""What the metrics say of the outbox; its tables belong to core.telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from core.postgres import open_engine, transaction

_NOTIFICATIONS: Final = sa.table("notifications", sa.column("event"), schema="core")
_DELIVERIES: Final = sa.table("deliveries", sa.column("target"), sa.column("settled"), schema="core")
_HEARTBEAT_LOST: Final = "heartbeat_lost"


@dataclass(frozen=True)
class OutboxSums:
    """Deliveries not settled yet, by target; alarms ever raised for lost heartbeats."""

    waiting: Mapping[str, int]
    heartbeats_lost: int


def outbox_sums(postgres_url: str) -> OutboxSums:
    """Raises TransientError where PostgreSQL does not answer, and InputError where the schema is missing."""
    unsettled = sa.func.count().filter(_DELIVERIES.c.settled.is_(None)).label("unsettled")
    waiting = sa.select(_DELIVERIES.c.target, unsettled).group_by(_DELIVERIES.c.target).order_by(_DELIVERIES.c.target)
    lost = sa.select(sa.func.count()).where(_NOTIFICATIONS.c.event == _HEARTBEAT_LOST)
    with transaction(open_engine(postgres_url)) as connection:
        return OutboxSums(
            {row.target: row.unsettled for row in connection.execute(waiting)}, int(connection.scalar(lost) or 0)
        )
