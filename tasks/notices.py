"""What the tasks tell people, in the transaction of what it tells of."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from core.config.events import Event
from core.stores.registry import ModelFacts
from core.stores.retraining import RETRAIN_FLOW
from core.stores.tables import RunStatus
from core.telemetry.endings import early_ending
from core.telemetry.outbox import post

NO_MODEL: Final = "no model"


def tell_ended(
    connection: sa.Connection, dag_id: str, trace_id: str, status: RunStatus, run_id: str | None, reason: str | None
) -> None:
    """A flow failed or was blocked; other endings are told by what they end with."""
    if status is not RunStatus.FAILED and status is not RunStatus.BLOCKED:
        return
    told = early_ending("failed" if status is RunStatus.FAILED else "blocked", dag_id, trace_id, run_id, reason)
    post(connection, told.event, told.key, told.fields)


def tell_paused(
    connection: sa.Connection, change: int, recipient: str, failures: int, reason: str, trace_id: str
) -> None:
    """Failures in a row have paused retraining; `change` is the pause's number in the audit log."""
    fields = {
        "recipient": recipient,
        "dag_id": RETRAIN_FLOW,
        "failures": str(failures),
        "reason": reason,
        "trace_id": trace_id,
    }
    post(connection, Event.RETRAIN_PAUSED, f"{Event.RETRAIN_PAUSED}/{change}", fields)


def tell_resumed(connection: sa.Connection, change: int, actor: str, reason: str, trace_id: str) -> None:
    """A person has resumed retraining; `change` is that step's number in the audit log."""
    fields = {"dag_id": RETRAIN_FLOW, "actor": actor, "reason": reason, "trace_id": trace_id}
    post(connection, Event.RETRAIN_RESUMED, f"{Event.RETRAIN_RESUMED}/{change}", fields)


def tell_verdict(connection: sa.Connection, facts: ModelFacts, *, approved: bool, reasons: str, trace_id: str) -> None:
    """A model was judged."""
    fields = {
        "model_version": facts.model_version,
        "status": "approved" if approved else "rejected",
        "reasons": reasons,
        "trace_id": trace_id,
        **_numbers(facts),
    }
    post(connection, Event.VERDICT, f"{Event.VERDICT}/{facts.model_version}", fields)


def tell_applied(
    connection: sa.Connection, facts: ModelFacts, *, replaces: str | None, actor: str, trace_id: str
) -> None:
    """A model was deployed: to those who follow the models, and to those who follow what changes in production."""
    common = {"model_version": facts.model_version, "replaces": replaces or NO_MODEL, "trace_id": trace_id}
    thetas = {"theta1": f"{facts.theta1:.4g}", "theta2": f"{facts.theta2:.4g}"}
    for event, fields in (
        (Event.DEPLOYED, _numbers(facts)),
        (Event.MODEL_APPLIED, {"actor": actor, **thetas}),
    ):
        post(connection, event, f"{event}/{facts.model_version}/{trace_id}", {**common, **fields})


def tell_refused(connection: sa.Connection, model_version: str, actor: str, reason: str, trace_id: str) -> None:
    """A person said no to a judged model, or nobody said yes in time."""
    fields = {"model_version": model_version, "actor": actor, "reason": reason, "trace_id": trace_id}
    post(connection, Event.APPROVAL_REFUSED, f"{Event.APPROVAL_REFUSED}/{model_version}", fields)


def tell_gate_failed(
    connection: sa.Connection, gate: str, run_id: str, report: str, reason: str, trace_id: str
) -> None:
    """A data-quality gate failed; `report` is where its page is, relative to ARCHIVE_PATH."""
    fields = {"gate": gate, "run_id": run_id, "report": report, "reason": reason, "trace_id": trace_id}
    post(connection, Event.GATE_FAILED, f"{Event.GATE_FAILED}/{run_id}/{gate}/{trace_id}", fields)


def _numbers(facts: ModelFacts) -> dict[str, str]:
    """The verdict's numbers a message shows."""
    verdict = facts.metrics_json["verdict"]
    return {name: f"{verdict[name]:.4g}" for name in ("sharpe", "max_drawdown", "trades_per_year")}
