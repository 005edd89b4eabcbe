"""The outbox: what people are to be told, kept in PostgreSQL until `watch` has delivered it (SPEC OBS-2)."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from core.config.events import EVENT_FIELDS, Event
from core.errors import InputError
from core.postgres import open_engine, transaction
from core.telemetry.outbox_tables import DELIVERIES, NOTIFICATIONS, Target


def post(connection: sa.Connection, event: Event | str, key: str, fields: Mapping[str, str]) -> bool:
    """Put a notification into the outbox, in the transaction of what it tells of.

    Args:
        connection: an open transaction.
        event: what happened.
        key: names this one occurrence, e.g. ``verdict/{model_version}``; a key is taken once.
        fields: exactly the event's fields (core/config/events.py), as text.

    Returns:
        False where the key was taken before; nothing is written then.

    Raises:
        InputError: the event is unknown, or its fields are others.
    """
    values = {"key": key, "event": _checked(event, key, fields).value, "fields": dict(fields)}
    query = insert(NOTIFICATIONS).values(**values).on_conflict_do_nothing().returning(NOTIFICATIONS.c.id)
    identity = connection.execute(query).scalar()
    if identity is None:
        return False
    connection.execute(DELIVERIES.insert(), [{"notification_id": identity, "target": target} for target in Target])
    return True


class Outbox:
    """Posts notifications that have no other transaction to belong to."""

    def __init__(self, postgres_url: str) -> None:
        """Raises InputError when the address is no URL; nothing is connected yet."""
        self._engine = open_engine(postgres_url)

    def post(self, event: Event | str, key: str, fields: Mapping[str, str]) -> bool:
        """As `post` above, in a transaction of its own.

        Raises:
            InputError: the event is unknown, its fields are others, or the schema is missing.
            TransientError: PostgreSQL does not answer.
        """
        with transaction(self._engine) as connection:
            return post(connection, event, key, fields)


def _checked(event: Event | str, key: str, fields: Mapping[str, str]) -> Event:
    try:
        known = Event(event)
    except ValueError as error:
        raise InputError(
            "NOTIFY_EVENT_UNKNOWN",
            f"no such event is known: {event!r}",
            where=f"notification {key}",
            remedy=f"post one of {', '.join(Event)}",
        ) from error
    wrong = EVENT_FIELDS[known] ^ set(fields)
    wrong |= {name for name, value in fields.items() if not isinstance(value, str)}
    if wrong or not key:
        needed = ", ".join(sorted(EVENT_FIELDS[known]))
        raise InputError(
            "NOTIFY_FIELDS_MISMATCH",
            f"{known} carries a key and, as text, {needed}; wrong: {', '.join(sorted(wrong)) or 'no key'}",
            where=f"notification {key}",
            remedy="post the fields core/config/events.py names",
        )
    return known
