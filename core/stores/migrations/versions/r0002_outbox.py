"""The outbox of notifications: what happened, and how far each of its deliveries is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid()),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("fields", JSONB, nullable=False),
        sa.CheckConstraint("key <> '' AND event <> ''", name="notification_named"),
        schema="core",
    )
    targets = op.create_table(
        "delivery_targets",
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("unanswered", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("last_error", sa.Text, nullable=True),
        schema="core",
    )
    op.bulk_insert(targets, [{"target": "slack"}, {"target": "pagerduty"}])
    op.create_table(
        "deliveries",
        sa.Column("notification_id", sa.BigInteger, sa.ForeignKey("core.notifications.id"), primary_key=True),
        sa.Column("target", sa.Text, sa.ForeignKey("core.delivery_targets.target"), primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("settled", sa.Text, nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
        sa.CheckConstraint("settled IN ('delivered', 'withheld')", name="settled_known"),
        sa.CheckConstraint("(settled IS NULL) = (settled_at IS NULL)", name="settled_at_a_time"),
        schema="core",
    )
    op.create_index(
        "deliveries_waiting",
        "deliveries",
        ["target", "notification_id"],
        schema="core",
        postgresql_where=sa.text("settled IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("deliveries", schema="core")
    op.drop_table("delivery_targets", schema="core")
    op.drop_table("notifications", schema="core")
