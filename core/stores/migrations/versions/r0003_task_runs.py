"""What every attempt of a task took and found, for the metrics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_runs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("shard", sa.Text, nullable=True),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("exit_code", sa.Integer, nullable=False),
        sa.Column("metrics", JSONB, nullable=False),
        sa.CheckConstraint("seconds >= 0", name="seconds_passed"),
        sa.CheckConstraint("jsonb_typeof(metrics) = 'object'", name="metrics_are_named"),
        schema="core",
    )
    op.create_index("task_runs_task", "task_runs", ["task", "id"], schema="core")


def downgrade() -> None:
    op.drop_table("task_runs", schema="core")
