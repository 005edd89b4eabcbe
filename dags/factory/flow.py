"""What every flow shares: settings, run parameters, retries, and how a flow ends."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, Param, TriggerRule, chain

from core.config.environment_variables import read_service_environment
from core.config.faults import ConfigurationError, Fault
from core.config.loader import load_settings
from core.config.settings import Settings
from dags.factory.command_line import TRACE_ID
from dags.factory.operators import TaskFactory
from dags.factory.tags import Tag

RUN_ID: Final = "{{ params.run_id }}"
MODEL_VERSION: Final = "{{ params.model_version }}"
AS_OF: Final = "{{ params.as_of or '' }}"

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


def start_params() -> dict[str, Param]:
    """Parameters of a flow that starts a chain; all may be left out."""
    return {
        "data": Param(None, type=["null", "string"], description="Folder of bars to import; none: configured sources."),
        "as_of": Param(None, type=["null", "string"], format="date-time", description="What counts as now (UTC)."),
        **_common_params(),
    }


def chained_params() -> dict[str, Param]:
    """Parameters of a flow that goes on with a run an earlier flow identified."""
    return {
        "run_id": Param(type="string", pattern=_NAME, description="The run to go on with."),
        "model_version": Param(type="string", pattern=_NAME, description="The version the run's model bears."),
        "as_of": Param(None, type=["null", "string"], format="date-time", description="What counts as now (UTC)."),
        **_common_params(),
    }


def _common_params() -> dict[str, Param]:
    return {
        "trace_id": Param(None, type=["null", "string"], description="Groups the chain; none: this run's own id."),
        "reason": Param(None, type=["null", "string"], maxLength=500, description="Why a person started this."),
    }


@cache
def _settings(config_root: Path, environment: str) -> Settings:
    return load_settings(config_root, environment)


@dataclass(frozen=True)
class Flow:
    """The environment's settings, and the tasks built from them."""

    settings: Settings
    tasks: TaskFactory

    @classmethod
    def from_environment(cls) -> Flow:
        """Read the configuration CONFIG_ROOT and SERVICE_ENV name. Raises ConfigurationError listing every fault."""
        root = os.environ.get("CONFIG_ROOT")
        if not root:
            raise ConfigurationError([Fault("ENV", "CONFIG_ROOT", "the configuration folder")], "process environment")
        folder = Path(root).resolve()
        settings = _settings(folder, read_service_environment(os.environ))
        return cls(settings, TaskFactory(settings, str(folder), os.environ))

    def arguments(self, *tags: Tag, doc: str | None, params: dict[str, Param]) -> dict[str, Any]:
        """Arguments of a flow's `@dag`: one run at a time, the policy's retries and time limit."""
        retries = self.settings.retrain_policy.retries
        return {
            "doc_md": doc,
            "tags": [tag.value for tag in tags],
            "params": params,
            "catchup": False,
            "max_active_runs": 1,
            "is_paused_upon_creation": self.settings.environment.retrain_paused,
            "default_args": {
                "owner": self.settings.environment.alert_recipient,
                "retries": retries.count,
                "retry_delay": datetime.timedelta(seconds=retries.delay_seconds),
                "retry_exponential_backoff": True,
                "max_retry_delay": datetime.timedelta(seconds=retries.max_delay_seconds),
                "execution_timeout": datetime.timedelta(seconds=self.settings.retrain_policy.task_timeout_seconds),
            },
        }

    def task(self, name: str, **options: str) -> BaseOperator:
        """The task `name` with its options; underscores in an option's name stand for dashes."""
        return self.tasks.task(name, {key.replace("_", "-"): value for key, value in options.items()})

    def start_next(self, dag_id: str, *, run_id: str, model_version: str, as_of: str) -> BaseOperator:
        """Start the next flow of the chain under the same trace, which is also its run's id.

        A run of that id left by an earlier try is cleared and runs again.
        """
        return TriggerDagRunOperator(
            task_id="start_next",
            trigger_dag_id=dag_id,
            trigger_run_id=TRACE_ID,
            logical_date=None,
            reset_dag_run=True,
            openlineage_inject_parent_info=False,
            conf={
                "run_id": run_id,
                "model_version": model_version,
                "as_of": as_of,
                "trace_id": TRACE_ID,
                "reason": "{{ params.reason or 'chained by ' ~ dag.dag_id }}",
            },
        )

    def ends_with(self, *tasks: BaseOperator, run_id: str) -> None:
        """Run `tasks` one after the other; write a failure of any to the audit log.

        `done` fails with its upstream, so that a flow whose failure was recorded still counts as failed.
        """
        done = EmptyOperator(task_id="done", trigger_rule=TriggerRule.NONE_FAILED)
        pulled = "ti.xcom_pull(task_ids=" + repr([task.task_id for task in tasks]) + ", key='failure') | select"
        record = self.tasks.task(
            "record-run",
            {
                "dag-id": "{{ dag.dag_id }}",
                "status": "{{ 'blocked' if " + pulled + " | selectattr('exit_code', 'eq', 11) | list else 'failed' }}",
                "run-id": run_id,
                "reason": "{{ (" + pulled + " | map(attribute='text') | list or ['no message'])[0] }}",
            },
            trigger_rule=TriggerRule.ONE_FAILED,
        )
        chain(*tasks, done)
        for task in tasks:
            task >> record
