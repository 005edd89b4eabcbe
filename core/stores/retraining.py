"""Whether retraining may run: failures in a row pause it, a person resumes it (SPEC ORC-1).

All of it is told by the two logs: audit.retrain_runs, and RETRAIN_PAUSED and RETRAIN_RESUMED in audit.config_changes.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from core.stores.audit import Change, record_change
from core.stores.tables import CONFIG_CHANGES, RETRAIN_RUNS, RunStatus

RETRAIN_FLOW: Final = "core_retrain_flow"
PAUSED: Final = "RETRAIN_PAUSED"
RESUMED: Final = "RETRAIN_RESUMED"
_LOCK: Final = 7_305_221_004


@dataclass(frozen=True)
class Pause:
    """A pause that lasts; `since` is the database's clock, in UTC."""

    since: datetime.datetime
    reason: str


def lock_retraining(connection: sa.Connection) -> None:
    """Let no other transaction change or judge the standing of retraining until this one ends."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def standing_pause(connection: sa.Connection) -> Pause | None:
    """The pause in force, None where retraining may run."""
    table = CONFIG_CHANGES.c
    query = (
        sa.select(table.event, table.occurred_at, table.reason)
        .where(table.subject == RETRAIN_FLOW, table.event.in_([PAUSED, RESUMED]))
        .order_by(table.id.desc())
        .limit(1)
    )
    newest = connection.execute(query).first()
    return Pause(newest.occurred_at, newest.reason) if newest is not None and newest.event == PAUSED else None


def failures_in_a_row(connection: sa.Connection) -> int:
    """How many of the newest chains failed with none between that ended otherwise; a chain counts once.

    Those before the last RETRAIN_RESUMED do not count: a person has seen to them.
    """
    table, changes = RETRAIN_RUNS.c, CONFIG_CHANGES.c
    newest = sa.select(sa.func.max(table.id)).group_by(table.trace_id)
    failed = table.status == RunStatus.FAILED.value
    last_good = sa.select(sa.func.max(table.id)).where(table.id.in_(newest), ~failed).scalar_subquery()
    resumed = sa.select(sa.func.max(changes.occurred_at)).where(
        changes.subject == RETRAIN_FLOW, changes.event == RESUMED
    )
    query = (
        sa.select(sa.func.count())
        .select_from(RETRAIN_RUNS)
        .where(table.id.in_(newest), table.id > sa.func.coalesce(last_good, 0))
        .where(table.recorded_at > sa.func.coalesce(resumed.scalar_subquery(), sa.text("'-infinity'::timestamptz")))
    )
    return int(connection.scalar(query) or 0)


def pause(connection: sa.Connection, actor: str, failures: int, reason: str, trace_id: str) -> int:
    """Pause retraining until it is resumed; the change's number in the audit log."""
    after = {"paused": True, "failures_in_a_row": failures}
    return record_change(connection, Change(PAUSED, actor, RETRAIN_FLOW, {"paused": False}, after, reason, trace_id))


def resume(connection: sa.Connection, actor: str, reason: str, trace_id: str) -> int:
    """Let retraining run again; the change's number in the audit log."""
    change = Change(RESUMED, actor, RETRAIN_FLOW, {"paused": True}, {"paused": False}, reason, trace_id)
    return record_change(connection, change)
