"""The model registry, and the append-only logs of changes and runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_GUARD_MODEL = """
CREATE FUNCTION core.guard_model() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'the model registry is never emptied' USING ERRCODE = 'integrity_constraint_violation';
    ELSIF TG_OP = 'DELETE' THEN
        IF OLD.status <> 'draft' THEN
            RAISE EXCEPTION 'model % is %: only a draft may be deleted', OLD.model_version, OLD.status
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    ELSIF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'draft' THEN
            RAISE EXCEPTION 'model % starts as draft, not as %', NEW.model_version, NEW.status
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('draft', 'candidate'),
        ('candidate', 'approved'),
        ('candidate', 'rejected'),
        ('approved', 'deployed'),
        ('deployed', 'approved'),
        ('deployed', 'rolled_back'),
        ('rolled_back', 'approved')
    ) THEN
        RAISE EXCEPTION 'model % may not go from % to %', OLD.model_version, OLD.status, NEW.status
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.status <> 'draft'
        AND (to_jsonb(NEW) - 'status' - 'notes') IS DISTINCT FROM (to_jsonb(OLD) - 'status' - 'notes') THEN
        RAISE EXCEPTION 'model % is %: its facts no longer change', OLD.model_version, OLD.status
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
"""

_APPEND_ONLY = """
CREATE FUNCTION audit.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS audit")
    _create_registry()
    _create_logs()


def _create_registry() -> None:
    op.create_table(
        "model_registry",
        sa.Column("model_version", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("dataset_index_path", sa.Text, nullable=False),
        sa.Column("feature_schema_path", sa.Text, nullable=False),
        sa.Column("model_ai1_path", sa.Text, nullable=False),
        sa.Column("model_ai2_path", sa.Text, nullable=False),
        sa.Column("model_ai3_path", sa.Text, nullable=False),
        sa.Column("params_yaml_path", sa.Text, nullable=False),
        sa.Column("metrics_json", JSONB, nullable=False),
        sa.Column("theta1", sa.Double, nullable=False),
        sa.Column("theta2", sa.Double, nullable=False),
        sa.Column("code_hash", sa.Text, nullable=False),
        sa.Column("data_hash", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("notes", sa.Text, nullable=True),
        sa.CheckConstraint(r"model_version ~ '^\d{8}_\d{4}_[0-9a-f]{8}$'", name="model_version_form"),
        sa.CheckConstraint(
            "status IN ('draft', 'candidate', 'approved', 'rejected', 'deployed', 'rolled_back')", name="status_known"
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'candidate') OR (notes IS NOT NULL AND btrim(notes, E' \\t\\n') <> '')",
            name="verdict_has_notes",
        ),
        sa.CheckConstraint("theta1 BETWEEN 0 AND 1 AND theta2 BETWEEN 0 AND 1", name="theta_is_a_share"),
        sa.CheckConstraint("created_by <> '' AND code_hash <> '' AND data_hash <> ''", name="origin_known"),
        schema="core",
    )
    op.create_index(
        "one_deployed_model",
        "model_registry",
        ["status"],
        unique=True,
        schema="core",
        postgresql_where=sa.text("status = 'deployed'"),
    )
    op.execute(_GUARD_MODEL)
    op.execute(
        "CREATE TRIGGER guard_model BEFORE INSERT OR UPDATE OR DELETE ON core.model_registry "
        "FOR EACH ROW EXECUTE FUNCTION core.guard_model()"
    )
    op.execute(
        "CREATE TRIGGER guard_registry BEFORE TRUNCATE ON core.model_registry "
        "FOR EACH STATEMENT EXECUTE FUNCTION core.guard_model()"
    )


def _create_logs() -> None:
    op.create_table(
        "config_changes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("before", JSONB, nullable=True),
        sa.Column("after", JSONB, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.CheckConstraint("event ~ '^[A-Z]+(_[A-Z]+)+$'", name="event_form"),
        schema="audit",
    )
    op.create_index("config_changes_subject", "config_changes", ["subject", "event"], schema="audit")
    op.create_table(
        "retrain_runs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("dag_id", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.CheckConstraint("status IN ('succeeded', 'failed', 'blocked', 'rejected')", name="status_known"),
        schema="audit",
    )
    op.create_index(
        "retrain_runs_once",
        "retrain_runs",
        ["dag_id", "trace_id", "run_id", "status"],
        unique=True,
        schema="audit",
        postgresql_nulls_not_distinct=True,
    )
    op.execute(_APPEND_ONLY)
    for table in ("config_changes", "retrain_runs"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit.append_only()"
        )


def downgrade() -> None:
    op.drop_table("retrain_runs", schema="audit")
    op.drop_table("config_changes", schema="audit")
    op.drop_table("model_registry", schema="core")
    op.execute("DROP FUNCTION audit.append_only()")
    op.execute("DROP FUNCTION core.guard_model()")
    op.execute("DROP SCHEMA audit")
