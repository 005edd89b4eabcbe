"""How the tasks of a flow ended, for the audit log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from airflow.sdk import BaseNotifier, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from core.config.environment_variables import read_required
from core.telemetry.endings import early_ending
from dags.factory.command_line import in_words
from dags.factory.outcome import BLOCKED

_FAILED: Final = frozenset({"failed", "upstream_failed"})


@dataclass(frozen=True)
class Ending:
    """What record-run is told. `reason` is the first failure in the flow's order, in its own words; else empty."""

    status: Literal["failed", "blocked", "done"]
    reason: str


def read_ending(ti: Any, task: BaseOperator) -> Ending:
    """How the tasks before `task` ended in its run, those that are mapped included.

    A task that failed leaves its words as XCom `failure`; one whose worker was killed could not.
    """
    names = [each.task_id for each in task.dag.topological_sort() if each.task_id in task.upstream_task_ids]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=names, run_ids=[ti.run_id]).get(ti.run_id, {})
    left = [failure for failure in ti.xcom_pull(task_ids=names, key="failure") if failure is not None]
    place = {name: number for number, name in enumerate(names)}
    failed = sorted(
        (name for name, state in states.items() if state in _FAILED),
        key=lambda name: place[name if name in place else name.rpartition("_")[0]],  # a part is NAME_NUMBER
    )
    if failed:
        words = [failure["text"] for failure in left if failure["exit_code"] != BLOCKED]
        first = next((name for name in failed if states[name] == "failed"), failed[0])
        return Ending("failed", in_words(words[0]) if words else f"the task {first} failed without a word of its own")
    blocked = [failure["text"] for failure in left if failure["exit_code"] == BLOCKED]
    return Ending("blocked", in_words(blocked[0])) if blocked else Ending("done", "")


def skip_unless_ended_early(context: Context) -> None:
    """Before record-run: publish itself records a chain that reached its verdict."""
    if read_ending(context["ti"], context["task"]).status == "done":
        raise AirflowSkipException("every task did its work: nothing to record")


class EndingUnrecorded(BaseNotifier):
    """Tells people how the flow ended where record-run itself failed, e.g. because its image is missing.

    It runs in Airflow's own process and posts what record-run would have, under the same key: it is told once.

    Args:
        chain: `dag_id`, `trace_id` and `run_id`, which is empty where there is none; templated.
    """

    template_fields = ("chain",)

    def __init__(self, chain: Mapping[str, str]) -> None:
        super().__init__()
        self.chain = dict(chain)

    def notify(self, context: Context) -> None:
        """Raises TransientError where PostgreSQL does not answer."""
        from core.telemetry.outbox import Outbox  # noqa: PLC0415 - a database client, which no flow file needs

        ending = read_ending(context["ti"], context["task"])
        if ending.status != "done":
            told = early_ending(ending.status, reason=ending.reason, **self.chain)
            Outbox(read_required("POSTGRES_URL", os.environ)).post(told.event, told.key, told.fields)
