"""The outbox's tables in PostgreSQL as SQLAlchemy sees them. The migrations of core.stores create them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

OUTBOX_METADATA: Final = sa.MetaData()


class Target(StrEnum):
    """Where notifications are delivered to."""

    SLACK = "slack"
    PAGERDUTY = "pagerduty"


class Settled(StrEnum):
    """How a delivery ended; until then it is tried again."""

    DELIVERED = "delivered"
    WITHHELD = "withheld"


NOTIFICATIONS: Final = sa.Table(
    "notifications",
    OUTBOX_METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("event_id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid()),
    sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("fields", JSONB, nullable=False),
    schema="core",
)

DELIVERIES: Final = sa.Table(
    "deliveries",
    OUTBOX_METADATA,
    sa.Column("notification_id", sa.BigInteger, sa.ForeignKey("core.notifications.id"), primary_key=True),
    sa.Column("target", sa.Text, sa.ForeignKey("core.delivery_targets.target"), primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("settled", sa.Text, nullable=True),
    sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("last_error", sa.Text, nullable=True),
    sa.Index("deliveries_waiting", "target", "notification_id", postgresql_where=sa.text("settled IS NULL")),
    schema="core",
)

DELIVERY_TARGETS: Final = sa.Table(
    "delivery_targets",
    OUTBOX_METADATA,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("unanswered", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("last_error", sa.Text, nullable=True),
    schema="core",
)
