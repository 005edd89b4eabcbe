"""The append-only logs: what was changed by whom, and how the flows ended (SPEC ORC-1, REG-2)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from core.postgres import open_engine, transaction
from core.stores.tables import CONFIG_CHANGES, RETRAIN_RUNS, RunStatus

Tell = Callable[[sa.Connection], object]
"""Run in the transaction of a change, to post what people are to be told of it."""


@dataclass(frozen=True)
class Change:
    """A change of a model or a configuration. `before` and `after` are small JSON objects; None where nothing was."""

    event: str
    actor: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str
    trace_id: str


@dataclass(frozen=True)
class FlowRun:
    """How a flow ended; `recorded_at` is the database's clock, in UTC."""

    dag_id: str
    trace_id: str
    run_id: str | None
    status: RunStatus
    reason: str | None
    recorded_at: datetime.datetime


def record_change(connection: sa.Connection, change: Change) -> int:
    """Append to audit.config_changes, in the transaction of the change itself; the number it has there."""
    query = CONFIG_CHANGES.insert().values(**change.__dict__).returning(CONFIG_CHANGES.c.id)
    return int(connection.execute(query).scalar_one())


def append_run(
    connection: sa.Connection, dag_id: str, trace_id: str, status: RunStatus, run_id: str | None, reason: str | None
) -> bool:
    """Append how a flow ended to audit.retrain_runs; the same ending of the same chain and run once.

    Returns whether it was new.
    """
    values = {"dag_id": dag_id, "trace_id": trace_id, "status": status.value, "run_id": run_id, "reason": reason}
    query = insert(RETRAIN_RUNS).values(**values).on_conflict_do_nothing().returning(RETRAIN_RUNS.c.id)
    return connection.execute(query).first() is not None


class Audit:
    """Reads and appends to the logs. Every method raises TransientError where PostgreSQL does not answer."""

    def __init__(self, postgres_url: str) -> None:
        self._engine = open_engine(postgres_url)

    def record_change(self, change: Change, tell: Tell | None = None) -> None:
        """Append a change that has no other transaction to belong to."""
        with transaction(self._engine) as connection:
            record_change(connection, change)
            if tell is not None:
                tell(connection)

    def changes(self, subject: str) -> list[Change]:
        """Everything that happened to a model version or a configuration file, oldest first."""
        columns = [CONFIG_CHANGES.c[name] for name in Change.__dataclass_fields__]
        query = sa.select(*columns).where(CONFIG_CHANGES.c.subject == subject).order_by(CONFIG_CHANGES.c.id)
        with transaction(self._engine) as connection:
            return [Change(**row._mapping) for row in connection.execute(query)]

    def record_run(self, dag_id: str, trace_id: str, status: RunStatus, run_id: str | None, reason: str | None) -> bool:
        """As `append_run`, in a transaction of its own."""
        with transaction(self._engine) as connection:
            return append_run(connection, dag_id, trace_id, status, run_id, reason)

    def runs(self, limit: int) -> list[FlowRun]:
        """The newest `limit` endings, newest first."""
        columns = [RETRAIN_RUNS.c[name] for name in FlowRun.__dataclass_fields__]
        query = sa.select(*columns).order_by(RETRAIN_RUNS.c.id.desc()).limit(limit)
        with transaction(self._engine) as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [FlowRun(**{**row, "status": RunStatus(row["status"])}) for row in rows]
