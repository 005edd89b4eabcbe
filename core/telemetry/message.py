"""A notification in words, with where it goes (SPEC OBS-2, OBS-3)."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from core.config.events import Event
from core.config.slack_policy import Severity, SlackPolicy


@dataclass(frozen=True)
class Notification:
    """A row of the outbox. `event` is text: another release may have written it."""

    event_id: uuid.UUID
    occurred_at: datetime.datetime
    key: str
    event: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Message:
    """What is sent.

    `text` is the template filled in as it stands; `escaped` the same with each field's ``&``, ``<`` and ``>`` as Slack
    wants them, so that no field can mention a person or a channel.
    """

    notification: Notification
    environment: str
    severity: Severity
    channel: str
    text: str
    escaped: str


def compose(notification: Notification, policy: SlackPolicy, environment: str) -> Message:
    """Word a notification by its template. Raises ValueError where this policy has no words for it."""
    event = Event(notification.event)
    rule = policy.events[event]
    try:
        return Message(
            notification=notification,
            environment=environment,
            severity=rule.severity,
            channel=policy.channel(event),
            text=rule.template.format_map(notification.fields),
            escaped=rule.template.format_map({name: _escaped(text) for name, text in notification.fields.items()}),
        )
    except KeyError as error:
        raise ValueError(f"the notification has no field {error}") from error


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
