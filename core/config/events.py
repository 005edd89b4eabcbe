"""The events people are told of, and the fields each one carries: the one place that names them (SPEC OBS-2)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Event(StrEnum):
    """What happened. Severity, channel and words of each stand in slack_policy.yaml."""

    RUN_FAILED = "run_failed"
    RUN_BLOCKED = "run_blocked"
    GATE_FAILED = "gate_failed"
    VERDICT = "verdict"
    DEPLOYED = "deployed"
    MODEL_APPLIED = "model_applied"
    APPROVAL_REQUESTED = "approval_requested"
    APPROVAL_REFUSED = "approval_refused"
    RETRAIN_PAUSED = "retrain_paused"
    RETRAIN_RESUMED = "retrain_resumed"
    HEARTBEAT_LOST = "heartbeat_lost"


EVENT_FIELDS: Final[dict[Event, frozenset[str]]] = {
    event: frozenset(fields)
    for event, fields in {
        Event.RUN_FAILED: ("dag_id", "run_id", "code", "reason", "trace_id"),
        Event.RUN_BLOCKED: ("dag_id", "run_id", "code", "reason", "trace_id"),
        Event.GATE_FAILED: ("gate", "run_id", "report", "reason", "trace_id"),
        Event.VERDICT: (
            "model_version",
            "status",
            "sharpe",
            "max_drawdown",
            "trades_per_year",
            "reasons",
            "trace_id",
        ),
        Event.DEPLOYED: ("model_version", "replaces", "sharpe", "max_drawdown", "trades_per_year", "trace_id"),
        Event.MODEL_APPLIED: ("model_version", "replaces", "theta1", "theta2", "actor", "trace_id"),
        Event.APPROVAL_REQUESTED: (
            "model_version",
            "run_id",
            "sharpe",
            "max_drawdown",
            "trades_per_year",
            "report",
            "link",
        ),
        Event.APPROVAL_REFUSED: ("model_version", "actor", "reason", "trace_id"),
        Event.RETRAIN_PAUSED: ("recipient", "dag_id", "failures", "reason", "trace_id"),
        Event.RETRAIN_RESUMED: ("dag_id", "actor", "reason", "trace_id"),
        Event.HEARTBEAT_LOST: ("code", "task", "host", "pid", "started", "last_beat", "trace_id"),
    }.items()
}
"""Event → names of its fields; all values are text."""
