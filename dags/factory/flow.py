"""What every flow shares: settings, run parameters, retries, and how a flow ends."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from airflow.sdk import BaseOperator, Param, chain

from core.config.environment_variables import read_service_environment
from core.config.faults import ConfigurationError, Fault
from core.config.loader import load_settings
from core.config.settings import Settings
from dags.factory.approval import Approval, ApprovalRequested, read_approver, read_refusal, skip_unless_refused
from dags.factory.command_line import TRACE_ID
from dags.factory.ending import EndingUnrecorded, read_ending, skip_unless_ended_early
from dags.factory.operators import TaskFactory
from dags.factory.report_link import PREFIX
from dags.factory.start_next import StartNext
from dags.factory.tags import Tag

RUN_ID: Final = "{{ params.run_id }}"
MODEL_VERSION: Final = "{{ params.model_version }}"
APPROVED_BY: Final = "{{ approver(ti) }}"
MODEL: Final = {"run-id": RUN_ID, "model-version": MODEL_VERSION}
DAG_ID: Final = "{{ dag.dag_id }}"
AS_OF: Final = "{{ params.as_of or '' }}"

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_SHOWN: Final = {"sharpe": "Sharpe ratio", "max_drawdown": "largest drawdown", "trades_per_year": "trades a year"}
_HANDED_ON: Final = {
    "run_id": "params.run_id",
    "model_version": "params.model_version",
    "as_of": "params.as_of",
    "pairs": "params.pairs",
    "history_months": "params.history_months",
    "dry_run": "params.dry_run",
    "trace_id": "params.trace_id or run_id",
    "reason": "params.reason or 'chained by ' ~ dag.dag_id",
}
"""What the next flow of a chain is given, as Jinja expressions."""


def start_params() -> dict[str, Param]:
    """Parameters of a flow that starts a chain; all may be left out."""
    return {
        "data": Param(None, type=["null", "string"], description="Folder of bars to import; none: configured sources."),
        "resume": Param(
            False, type="boolean", description="Take up retraining that failures in a row paused; give the reason."
        ),
        **_common_params(),
    }


def chained_params() -> dict[str, Param]:
    """Parameters of a flow that goes on with a run an earlier flow identified."""
    return {
        "run_id": Param(type="string", pattern=_NAME, description="The run to go on with."),
        "model_version": Param(type="string", pattern=_NAME, description="The version the run's model bears."),
        **_common_params(),
    }


def publish_params() -> dict[str, Param]:
    """Parameters of the flow that publishes."""
    verdict = Param(
        None, type=["null", "string"], description="What core_theta_opt_flow found; publish reads it from the run."
    )
    return {**chained_params(), "verdict": verdict}


def _common_params() -> dict[str, Param]:
    pair = {"type": "string", "pattern": _NAME}
    return {
        "pairs": Param(
            None, type=["null", "array"], items=pair, uniqueItems=True, description="Pairs by id; none: the universe's."
        ),
        "history_months": Param(
            None, type=["null", "integer"], minimum=1, description="Newest months used; none: as configured."
        ),
        "as_of": Param(None, type=["null", "string"], format="date-time", description="What counts as now (UTC)."),
        "dry_run": Param(False, type="boolean", description="Go on to the verdict, and publish nothing."),
        "trace_id": Param(None, type=["null", "string"], description="Groups the chain; none: this run's id."),
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
        policy = self.settings.retrain_policy
        return {
            "doc_md": doc,
            "tags": [tag.value for tag in tags],
            "params": params,
            "catchup": False,
            "max_active_runs": 1,
            "is_paused_upon_creation": self.settings.environment.retrain_paused,
            "user_defined_macros": {"ending": read_ending, "refusal": read_refusal, "approver": read_approver},
            "default_args": {
                "owner": self.settings.environment.alert_recipient,
                "pool": self.tasks.pool("control"),
                "retries": policy.retries.count,
                "retry_delay": datetime.timedelta(seconds=policy.retries.delay_seconds),
                "retry_exponential_backoff": 2.0,
                "max_retry_delay": datetime.timedelta(seconds=policy.retries.max_delay_seconds),
                "execution_timeout": datetime.timedelta(seconds=policy.task_timeout_seconds.general),
            },
        }

    def task(
        self,
        name: str,
        options: Mapping[str, str],
        flags: Mapping[str, str] | None = None,
        *,
        task_id: str | None = None,
        **airflow: Any,
    ) -> BaseOperator:
        """The task `name` with its options and flags, as TaskFactory makes it."""
        return self.tasks.task(name, options, flags or {}, task_id=task_id or name, **airflow)

    def gate(self, name: str, run_id: str) -> BaseOperator:
        """The Great Expectations gate `name` over what the run has written so far."""
        return self.task("gate", {"name": name, "run-id": run_id}, task_id=f"gate-{name}")

    def sharded(self, name: str, options: Mapping[str, str]) -> list[BaseOperator]:
        """The task after its parts, which run side by side where the policy asks for more than one."""
        return [*self.tasks.shards(name, options), self.task(name, options)]

    def approval(self) -> BaseOperator:
        """Asks a person whether the rehearsed model may be deployed."""
        minutes = self.settings.environment.publish_approval.timeout_minutes
        return Approval(
            task_id="approve",
            pool=self.tasks.pool("publishing"),
            subject=f"Deploy {MODEL_VERSION}?",
            body="\n".join(
                [
                    f"- model version: {MODEL_VERSION}",
                    *(f"- {words}: {_rehearsed(name)}" for name, words in _SHOWN.items()),
                    f"- [report]({self._report})",
                    "",
                    f"No answer within {minutes} minutes means no.",
                ]
            ),
            params={"reason": Param("", type="string", maxLength=500, description="Why; kept in the registry.")},
            response_timeout=datetime.timedelta(minutes=minutes),
            ignore_downstream_trigger_rules=True,
            notifiers=[
                ApprovalRequested(
                    key=f"approval/{TRACE_ID}/{{{{ ti.try_number }}}}",
                    fields={
                        "model_version": MODEL_VERSION,
                        "run_id": RUN_ID,
                        **{name: _rehearsed(name) for name in _SHOWN},
                        "report": self._report,
                    },
                )
            ],
        )

    def refusal(self, options: Mapping[str, str]) -> BaseOperator:
        """Registers a refused model as rejected; a teardown, which the refusal's skip does not reach."""
        told = {"actor": "{{ refusal(ti).actor | default('') }}", "reason": "{{ refusal(ti).reason | default('') }}"}
        refuse = self.task("refuse", {**options, **told}, pre_execute=skip_unless_refused)
        return refuse.as_teardown(on_failure_fail_dagrun=True)

    @property
    def _report(self) -> str:
        return f"{PREFIX}/{self.settings.ml_core_storage.runs_root}/{RUN_ID}/report/report.html"

    def start_next(self, dag_id: str, **handed: str) -> BaseOperator:
        """Start the next flow of the chain under the same trace, which is also its run's id.

        A run of that id left by an earlier try is cleared and runs again; one of another model fails the task.

        Args:
            dag_id: the next flow.
            handed: Jinja expressions of parameters it is given beyond, or other than, this flow's own.
        """
        items = (f"'{name}': {expression}" for name, expression in {**_HANDED_ON, **handed}.items())
        return StartNext(
            task_id="start_next",
            trigger_dag_id=dag_id,
            trigger_run_id=TRACE_ID,
            logical_date=None,
            reset_dag_run=True,
            openlineage_inject_parent_info=False,
            conf="{{ {" + ", ".join(items) + "} | tojson }}",
        )

    def follows(self, *steps: BaseOperator | list[BaseOperator], run_id: str) -> None:
        """Run the steps one after the other, those of a list side by side, and record how they ended."""
        chain(*steps)
        self.records(*(task for step in steps for task in (step if isinstance(step, list) else [step])), run_id=run_id)

    def records(self, *tasks: BaseOperator, run_id: str) -> None:
        """Write to the audit log where any of `tasks` failed or was blocked; a teardown, which no skip reaches."""
        record = self.tasks.task(
            "record-run",
            {
                "dag-id": DAG_ID,
                "status": "{{ ending(ti, task).status }}",
                "run-id": run_id,
                "reason": "{{ ending(ti, task).reason }}",
            },
            {},
            task_id="record-run",
            pre_execute=self.tasks.ending_run(skip_unless_ended_early),
            on_failure_callback=EndingUnrecorded({"dag_id": DAG_ID, "trace_id": TRACE_ID, "run_id": run_id}),
        )
        list(tasks) >> record.as_teardown(on_failure_fail_dagrun=False)


def _rehearsed(name: str) -> str:
    return "{{ '%.4g' | format(ti.xcom_pull(task_ids='rehearse')['metrics']['" + name + "']) }}"
