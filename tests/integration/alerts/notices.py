"""Notifications for the tests, and what the outbox says became of them."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from core.config.events import EVENT_FIELDS, Event
from core.postgres import open_engine, transaction
from core.telemetry.outbox import Outbox
from core.telemetry.outbox_tables import DELIVERIES, NOTIFICATIONS, Target


def fields_of(event: Event, **changes: str) -> dict[str, str]:
    """Every field of an event, holding its own name where nothing else is said."""
    return {**{name: name for name in EVENT_FIELDS[event]}, **changes}


def post_verdicts(postgres_url: str, *versions: str) -> None:
    """One verdict a version, in their order."""
    outbox = Outbox(postgres_url)
    for version in versions:
        assert outbox.post(Event.VERDICT, f"verdict/{version}", fields_of(Event.VERDICT, model_version=version))


def notifications(postgres_url: str) -> list[dict[str, Any]]:
    """Event, key and fields of all that was posted, oldest first."""
    query = sa.select(NOTIFICATIONS.c.event, NOTIFICATIONS.c.key, NOTIFICATIONS.c.fields).order_by(NOTIFICATIONS.c.id)
    with transaction(open_engine(postgres_url)) as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def deliveries(postgres_url: str, target: Target) -> list[dict[str, Any]]:
    """How far the deliveries to a target are, oldest notification first."""
    query = DELIVERIES.select().where(DELIVERIES.c.target == target).order_by(DELIVERIES.c.notification_id)
    with transaction(open_engine(postgres_url)) as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def settled(postgres_url: str, target: Target) -> list[str | None]:
    """How each delivery to a target ended, None while it waits."""
    return [row["settled"] for row in deliveries(postgres_url, target)]


def soon(seconds: float = 0.0) -> datetime.datetime:
    """An instant after everything posted so far, and `seconds` more."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1 + seconds)
