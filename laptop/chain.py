"""The chain as a person follows it: which tasks there are, how far each is, and how all of it ended."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson
import redis

from laptop.airflow_api import AirflowApi, TaskState
from laptop.flows import FLOWS, LAST_FLOW

BLOCKED: Final = 11
Outcome = Literal["running", "finished", "failed", "blocked"]
_ENDED_BADLY: Final = frozenset({"failed", "upstream_failed"})
_GRAVEST_FIRST: Final = ("failed", "up_for_retry", "running", "queued", "scheduled", None, "upstream_failed", "skipped")


@dataclass(frozen=True)
class Progress:
    """How far a running task says it is."""

    done: int
    total: int
    unit: str


@dataclass(frozen=True)
class Step:
    """One task of the chain; of a mapped one its gravest part.

    `seconds` is how long it ran, so far or in all; None before it starts.
    """

    flow: str
    task: str
    state: str
    attempt: int
    seconds: float | None
    progress: Progress | None
    part: int = -1


@dataclass(frozen=True)
class ChainState:
    """All steps in order, and whether the chain goes on."""

    steps: tuple[Step, ...]
    outcome: Outcome

    def ending_step(self) -> Step | None:
        """The task that failed or was blocked, None where none was."""
        return next((step for step in self.steps if step.state in {"failed", "blocked"}), None)


class Chain:
    """Watches the four flows of one trace. A run's id is the trace's id in each of them."""

    def __init__(self, api: AirflowApi, redis_url: str, trace_id: str) -> None:
        self._api = api
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=2.0, socket_connect_timeout=2.0)
        self.trace_id = trace_id
        self._ended: dict[str, tuple[str, dict[str, TaskState]]] = {}

    def look(self, now: datetime.datetime) -> ChainState:
        """Ask Airflow and Redis how far everything is. Raises TransientError where Airflow does not answer."""
        steps: list[Step] = []
        progress = self._progress()
        outcome: Outcome = "running"
        for flow, names in FLOWS.items():
            state, tasks = self._flow(flow)
            if state == "failed":
                outcome = "failed"
            elif state == "success" and flow == LAST_FLOW:
                outcome = "finished"
            others = (name for name, task in tasks.items() if task.state == "failed" or task.part >= 0)
            shown = [*names, *(name for name in others if name not in names)]
            of_flow = [_step(flow, name, tasks.get(name), progress.get(name), now) for name in shown]
            if state == "success" and (blocked := self._blocked(of_flow)) is not None:
                outcome = "blocked"
                of_flow[of_flow.index(blocked)] = replace(blocked, state="blocked")
            steps += of_flow
        return ChainState(tuple(steps), outcome)

    def _blocked(self, steps: Sequence[Step]) -> Step | None:
        """The task that found something missing. To Airflow it is skipped, as is all that follows, and no failure."""
        for step in steps:
            failure = self.pushed(step.flow, step.task, "failure", step.part) if step.state == "skipped" else None
            if failure is not None and failure["exit_code"] == BLOCKED:
                return step
        return None

    def pushed(self, flow: str, task: str, key: str = "return_value", part: int = -1) -> dict[str, Any] | None:
        """What a task of the chain handed on, None where it handed on nothing."""
        return self._api.pushed(flow, self.trace_id, task, key, part)

    def _flow(self, flow: str) -> tuple[str | None, dict[str, TaskState]]:
        if flow in self._ended:
            return self._ended[flow]
        state = self._api.run_state(flow, self.trace_id)
        tasks = {} if state is None else _gravest(self._api.tasks(flow, self.trace_id))
        if state in {"success", "failed"}:
            self._ended[flow] = state, tasks
        return state, tasks

    def _progress(self) -> dict[str, Progress]:
        try:
            fields = self._redis.hgetall(f"core:progress:{self.trace_id}")
        except redis.RedisError:
            return {}  # progress is a courtesy: Airflow says whether the task runs
        found: dict[str, Progress] = {}
        for name, content in dict(fields).items():
            values = orjson.loads(content)
            found[name.decode() if isinstance(name, bytes) else name] = Progress(
                values["done"], values["total"], values["unit"]
            )
        return found


def _gravest(parts: Sequence[TaskState]) -> dict[str, TaskState]:
    """Of each task the part whose state says most about it."""
    found: dict[str, TaskState] = {}
    for part in sorted(parts, key=lambda part: _rank(part.state)):
        found.setdefault(part.task, part)
    return found


def _rank(state: str | None) -> int:
    return _GRAVEST_FIRST.index(state) if state in _GRAVEST_FIRST else len(_GRAVEST_FIRST)


def _step(flow: str, name: str, task: TaskState | None, progress: Progress | None, now: datetime.datetime) -> Step:
    part = -1 if task is None else task.part
    if task is None or task.started is None:
        state = task.state if task is not None and task.state in {*_ENDED_BADLY, "skipped"} else "waiting"
        return Step(flow, name, str(state), 0, None, None, part)
    seconds = ((task.ended or now) - task.started).total_seconds()
    running = task.state == "running"
    return Step(
        flow, name, task.state or "waiting", task.attempt, max(seconds, 0.0), progress if running else None, part
    )
