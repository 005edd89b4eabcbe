"""What people are told of a flow that failed or was blocked, the same by whoever tells them (SPEC OBS-2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from core.config.events import Event

UNIDENTIFIED: Final = "not identified"
"""Stands for a run that ended before catalog named it."""
_CODE: Final = re.compile(r"(?P<code>[A-Z][A-Z0-9]*(_[A-Z0-9]+){2,}): (?P<message>.*)", re.DOTALL)
_EVENTS: Final = {
    "failed": (Event.RUN_FAILED, "RETRAIN_TASK_FAILED"),
    "blocked": (Event.RUN_BLOCKED, "RETRAIN_RUN_BLOCKED"),
}
"""How it ended, and the code of an ending that names none itself."""


@dataclass(frozen=True)
class EarlyEnding:
    """A notification for the outbox; `key` is the same for the same ending of the same chain and run."""

    event: Event
    key: str
    fields: dict[str, str]


def early_ending(
    status: Literal["failed", "blocked"], dag_id: str, trace_id: str, run_id: str | None, reason: str | None
) -> EarlyEnding:
    """The notification; `reason` is the task's own words, which may begin with an error's code."""
    event, code = _EVENTS[status]
    named = _CODE.fullmatch(reason or "")
    fields = {
        "dag_id": dag_id,
        "run_id": run_id or UNIDENTIFIED,
        "code": named["code"] if named else code,
        "reason": named["message"] if named else reason or "no reason was given",
        "trace_id": trace_id,
    }
    return EarlyEnding(event, f"{event}/{dag_id}/{trace_id}/{run_id or UNIDENTIFIED}", fields)
