"""How a chain ended, from what its last flow's tasks handed on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from compose.airflow import Airflow

BLOCKED: Final = 11
"""Exit code of a task that found something missing: to Airflow it and all that follows are skipped."""
_DECIDES: Final = frozenset({"publish", "refuse"})


def read_end(airflow: Airflow, flow: str, run: str, *, failed: bool) -> dict[str, Any]:
    """The end of a run of `flow` with which its chain ended; `failed` is Airflow's word for the run.

    `state` is failed or blocked; what became of the model (deployed, rejected, would be deployed, would be rejected);
    or, of a flow that decides about none, success. `reasons` are the tasks' own words, `published` what the task that
    decided handed on, where one did.

    Raises:
        InputError: Airflow refuses the question.
        TransientError: Airflow does not answer.
    """
    failures = list(_handed_on(airflow, flow, run, "failure"))
    if failed:
        words = [failure["text"] for failure in failures if failure["exit_code"] != BLOCKED]
        return {"state": "failed", "flow": flow, "reasons": words or [_silent(airflow, flow, run)]}
    blocked = [failure["text"] for failure in failures if failure["exit_code"] == BLOCKED]
    if blocked:
        return {"state": "blocked", "flow": flow, "reasons": blocked}
    for result in _handed_on(airflow, flow, run, "return_value", _DECIDES):
        published = result["outputs"]
        return {"state": published["status"], "flow": flow, "reasons": published["reasons"], "published": published}
    return {"state": "success", "flow": flow, "reasons": []}


def _silent(airflow: Airflow, flow: str, run: str) -> str:
    tasks = airflow.get(f"/dags/{flow}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
    names = [task["task_id"] for task in tasks if task["state"] == "failed"]
    return f"the task {names[0]} failed without a word of its own" if names else "the flow was ended from outside"


def _handed_on(
    airflow: Airflow, flow: str, run: str, key: str, tasks: frozenset[str] | None = None
) -> Iterator[dict[str, Any]]:
    """What tasks handed on under `key`: all of them that did, or those of `tasks`."""
    path = f"/dags/{flow}/dagRuns/{run}/taskInstances"
    for entry in airflow.get(f"{path}/~/xcomEntries?xcom_key={key}&limit=100")["xcom_entries"]:
        if tasks is None or entry["task_id"] in tasks:
            place = f"{entry['task_id']}/xcomEntries/{key}?map_index={entry['map_index']}"
            value = airflow.get(f"{path}/{place}")["value"]
            yield json.loads(value) if isinstance(value, str) else value
