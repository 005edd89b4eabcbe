"""
### core_retrain_flow: bars in, trained models out

`ingest` imports bars into the canonical lake. `catalog` indexes them, gates them with Great Expectations and gives the
run its identity. `features` and `train` write the models and their walk-forward predictions. `core_backtest_flow`
follows.

Runs every month by `retrain_cron`, or by hand. A gate that fails (exit 10) or something missing (exit 11) ends the flow
without a retry; the report stands in the run's folder.
"""

from __future__ import annotations

import datetime

from airflow.sdk import CronTriggerTimetable, dag

from dags.factory.flow import Flow, start_params
from dags.factory.tags import Tag

flow = Flow.from_environment()


def _identified(name: str) -> str:
    return "{{ ti.xcom_pull(task_ids='catalog')['outputs']['" + name + "'] }}"


@dag(
    dag_id="core_retrain_flow",
    schedule=CronTriggerTimetable(
        flow.settings.retrain_policy.retrain_cron,
        timezone="UTC",
        run_immediately=datetime.timedelta(0),  # a new deployment waits for the next month
    ),
    **flow.arguments(Tag.CORE, Tag.RETRAIN, doc=__doc__, params=start_params()),
)
def core_retrain_flow() -> None:
    run_id, model_version = _identified("run_id"), _identified("model_version")
    flow.ends_with(
        flow.task("ingest", data="{{ params.data or '' }}"),
        flow.task("catalog", as_of="{{ params.as_of or '' }}"),
        flow.task("features", run_id=run_id),
        flow.task("train", run_id=run_id, model_version=model_version),
        flow.start_next("core_backtest_flow", run_id=run_id, model_version=model_version, as_of=_identified("as_of")),
        run_id="{{ (ti.xcom_pull(task_ids='catalog') or {'outputs': {'run_id': ''}})['outputs']['run_id'] }}",
    )


core_retrain_flow()
