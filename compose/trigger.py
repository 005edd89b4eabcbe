"""Starts a flow through Airflow's REST API and, if asked, follows the chain to its end."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from compose.airflow import Airflow
from compose.chain_end import read_end
from compose.lifecycle import Say, airflow_of
from compose.stack import Stack
from core.errors import TransientError

CHAIN: Final = ("core_retrain_flow", "core_backtest_flow", "core_theta_opt_flow", "core_publish_flow")
PATIENCE_SECONDS: Final = 180.0
"""How long Airflow may be away while a chain is followed: the chain itself goes on meanwhile."""
_POLL_SECONDS: Final = 2.0
_ENDED: Final = frozenset({"success", "failed"})
T = TypeVar("T")


def trigger(stack: Stack, flow: str, conf: dict[str, Any], say: Say, *, follow: bool) -> int:
    """Start `flow`; the run's id is the trace of the whole chain.

    Returns 0 where the run was started, or followed to a good end, which a rejected model and a block are too; 1 where
    the chain failed. The last line on standard output is a JSON object: run, state and, when followed, what
    `compose.chain_end` says.

    Raises:
        InputError: Airflow refuses the flow or its parameters.
        TransientError: Airflow does not answer, or not for PATIENCE_SECONDS while the chain is followed.
    """
    airflow = airflow_of(stack, "operator")
    flows = CHAIN[CHAIN.index(flow) :] if flow in CHAIN else (flow,)
    for each in flows:
        if airflow.get(f"/dags/{each}")["is_paused"]:
            say(f"{each} is paused: its run waits until someone unpauses it in the UI.")
    run = f"manual-{secrets.token_hex(4)}"
    airflow.post(f"/dags/{flow}/dagRuns", {"dag_run_id": run, "logical_date": None, "conf": conf})
    say(f"Started {flow}: {stack.address}/dags/{flow}/runs/{run}")
    ending = {"run": run, **_follow(airflow, flows, run, say)} if follow else {"run": run, "state": "queued"}
    sys.stdout.write(json.dumps(ending, ensure_ascii=False) + "\n")
    return 1 if ending["state"] == "failed" else 0


def _follow(airflow: Airflow, flows: tuple[str, ...], run: str, say: Say) -> dict[str, Any]:
    """Watch the flows, each until it ends. A flow that nobody started is the chain's end: the one before says why."""
    told: dict[tuple[str, str, int], str] = {}

    def look(flow: str) -> str | None:
        state = _state(airflow, flow, run)
        if state is not None:
            _tell(airflow, flow, run, told, say)
        return state

    ended, failed = flows[0], False
    for following in flows:
        state = _patiently(partial(look, following), say)
        if state is None:
            break
        while state is not None and state not in _ENDED:
            time.sleep(_POLL_SECONDS)
            state = _patiently(partial(look, following), say)
        ended, failed = following, state != "success"
        if failed:
            break
    return _patiently(partial(read_end, airflow, ended, run, failed=failed), say)


def _patiently(look: Callable[[], T], say: Say) -> T:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return look()
        except TransientError as error:
            if time.monotonic() > deadline:
                raise
            say(f"  {error.message}; asking again")
            time.sleep(_POLL_SECONDS)


def _state(airflow: Airflow, flow: str, run: str) -> str | None:
    """None where there is no such run."""
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
