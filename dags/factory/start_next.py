"""Starts the next flow of a chain, and never on what another run left there."""

from __future__ import annotations

import json
from typing import Any, Final

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context

from dags.factory.outcome import TaskFailure, fail

_IDENTITY: Final = ("run_id", "model_version")
_WRONG_INPUT: Final = 20


class StartNext(TriggerDagRunOperator):
    """A run of the same id is cleared and runs again, with the parameters it had: they have to name the same model."""

    def execute(self, context: Context) -> Any:
        """Raises AirflowFailException where the run that is there names another run or model version."""
        if context["ti"].get_dr_count(dag_id=self.trigger_dag_id, run_ids=[self.trigger_run_id]):
            from airflow.sdk.execution_time.comms import GetDagRun  # noqa: PLC0415 - only a running task speaks
            from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS  # noqa: PLC0415 - set as the task runs

            handed = json.loads(str(self.conf))
            there = SUPERVISOR_COMMS.send(GetDagRun(dag_id=self.trigger_dag_id, run_id=str(self.trigger_run_id))).conf
            other = [name for name in _IDENTITY if (there or {}).get(name) != handed[name]]
            if other:
                named = ", ".join(f"{name} {(there or {}).get(name)}, not {handed[name]}" for name in other)
                text = (
                    f"{self.trigger_dag_id} has the run {self.trigger_run_id} of {named}: "
                    "start a chain with a trace_id of its own, or delete that run and clear this task"
                )
                fail(self, context, TaskFailure(self.task_id, _WRONG_INPUT, text))
        return super().execute(context)
