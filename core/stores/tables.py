"""The tables of PostgreSQL as SQLAlchemy sees them. The migrations create them, with the triggers that guard them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

METADATA: Final = sa.MetaData()


class ModelStatus(StrEnum):
    """Where a model stands in its life (SPEC REG-1)."""

    DRAFT = "draft"
    CANDIDATE = "candidate"
    APPROVED = "approved"
    REJECTED = "rejected"
    DEPLOYED = "deployed"
    ROLLED_BACK = "rolled_back"


TRANSITIONS: Final[dict[ModelStatus, frozenset[ModelStatus]]] = {
    ModelStatus.DRAFT: frozenset({ModelStatus.CANDIDATE}),
    ModelStatus.CANDIDATE: frozenset({ModelStatus.APPROVED, ModelStatus.REJECTED}),
    ModelStatus.APPROVED: frozenset({ModelStatus.DEPLOYED}),
    ModelStatus.REJECTED: frozenset(),
    ModelStatus.DEPLOYED: frozenset({ModelStatus.APPROVED, ModelStatus.ROLLED_BACK}),
    ModelStatus.ROLLED_BACK: frozenset({ModelStatus.APPROVED}),
}
"""What may follow what; the database enforces the same. A deployed model whose successor is deployed goes back to
`approved`, ready to be deployed again; one withdrawn for its results is `rolled_back` until approved anew."""


class RunStatus(StrEnum):
    """How a flow ended. Rejected and blocked are no failures (SPEC ORC-1)."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    REJECTED = "rejected"


MODEL_REGISTRY: Final = sa.Table(
    "model_registry",
    METADATA,
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
    sa.Index("one_deployed_model", "status", unique=True, postgresql_where=sa.text("status = 'deployed'")),
    schema="core",
)

CONFIG_CHANGES: Final = sa.Table(
    "config_changes",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("before", JSONB(none_as_null=True), nullable=True),
    sa.Column("after", JSONB(none_as_null=True), nullable=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Index("config_changes_subject", "subject", "event"),
    schema="audit",
)

RETRAIN_RUNS: Final = sa.Table(
    "retrain_runs",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("dag_id", sa.Text, nullable=False),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Index(
        "retrain_runs_once", "dag_id", "trace_id", "run_id", "status", unique=True, postgresql_nulls_not_distinct=True
    ),
    schema="audit",
)

TASK_RUNS: Final = sa.Table(
    "task_runs",
    METADATA,
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
    sa.Index("task_runs_task", "task", "id"),
    schema="core",
)
