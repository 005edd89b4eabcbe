"""Starts a flow through Airflow's REST API and, if asked, follows the chain to its end."""

from __future__ import annotations

import json
import secrets
import sys
import time
from typing import Any, Final

from compose.airflow import Airflow
from compose.lifecycle import Say, airflow_of
from compose.stack import Stack
from core.errors import InputError

CHAIN: Final = ("core_retrain_flow", "core_backtest_flow", "core_theta_opt_flow", "core_publish_flow")
_POLL_SECONDS: Final = 2.0
_ENDED: Final = frozenset({"success", "failed"})


def trigger(stack: Stack, flow: str, conf: dict[str, Any], say: Say, *, follow: bool) -> int:
    """Start `flow`; the run's id is the trace of the whole chain.

    Returns 0 where the run was started, or followed to a good end; 1 where the chain failed. The last line on standard
    output is a JSON object: run, state and, when followed, what the last flow handed on.

    Raises:
        InputError: Airflow refuses the flow or its parameters.
        TransientError: Airflow does not answer.
    """
    airflow = airflow_of(stack, "operator")
    run = f"manual-{secrets.token_hex(4)}"
    airflow.post(f"/dags/{flow}/dagRuns", {"dag_run_id": run, "logical_date": None, "conf": conf})
    say(f"Started {flow}: {stack.address}/dags/{flow}/runs/{run}")
    ending = _follow(airflow, flow, run, say) if follow else {"run": run, "state": "queued"}
    sys.stdout.write(json.dumps(ending) + "\n")
    return 1 if ending["state"] == "failed" else 0


def _follow(airflow: Airflow, flow: str, run: str, say: Say) -> dict[str, Any]:
    """Watch the flows from `flow` on, each until it ends."""
    told: dict[tuple[str, str, int], str] = {}
    for following in CHAIN[CHAIN.index(flow) :] if flow in CHAIN else (flow,):
        state = None
        while state not in _ENDED:
            time.sleep(_POLL_SECONDS)
            state = _state(airflow, following, run)
            if state is None:
                break
            _tell(airflow, following, run, told, say)
        if state != "success":
            return {"run": run, "state": state or "success", "flow": following}
    return {"run": run, "state": "success", "flow": following, **_published(airflow, following, run)}


def _state(airflow: Airflow, flow: str, run: str) -> str | None:
    """None where the flow was not started: the one before ended without it."""
    runs = airflow.get(f"/dags/{flow}/dagRuns?limit=100&order_by=-run_after")["dag_runs"]
    return next((str(each["state"]) for each in runs if each["dag_run_id"] == run), None)


def _tell(airflow: Airflow, flow: str, run: str, told: dict[tuple[str, str, int], str], say: Say) -> None:
    for task in airflow.get(f"/dags/{flow}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]:
        key, state = (flow, task["task_id"], task["map_index"]), task["state"]
        if state and state != "scheduled" and told.get(key) != state:
            told[key] = state
            shard = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
            seconds = f"  {task['duration']:.0f} s" if task["duration"] and state in _ENDED else ""
            say(f"  {flow}  {task['task_id']}{shard}  {state}{seconds}")


def _published(airflow: Airflow, flow: str, run: str) -> dict[str, Any]:
    """What `publish` handed on, where the flow has it."""
    if flow != CHAIN[-1]:
        return {}
    try:
        entry = airflow.get(f"/dags/{flow}/dagRuns/{run}/taskInstances/publish/xcomEntries/return_value")
    except InputError:
        return {"published": None}
    value = entry["value"]
    return {"published": json.loads(value) if isinstance(value, str) else value}
