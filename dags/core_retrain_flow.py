"""
### core_retrain_flow: bars in, trained models out

`admit` stops here while failures in a row have paused retraining. `ingest` imports bars into the canonical lake.
`catalog` indexes them and gives the run its identity. `features` and `train` write the models and their walk-forward
predictions. Between them stand the Great Expectations gates on bars, index, features and predictions; each has a link
*Report*. Ingest, features and train run in `retrain_policy.shards` parts side by side first. `core_backtest_flow`
follows.

Runs every month by `retrain_cron`, or by hand. A gate that fails (exit 10) ends the flow without a retry. Something
missing (exit 11) skips the rest: the run is no failure, the audit log says `blocked`.
"""

from __future__ import annotations

import datetime

from airflow.sdk import CronTriggerTimetable, dag

from dags.factory.flow import Flow, start_params
from dags.factory.tags import Tag

flow = Flow.from_environment()
CATALOG = "ti.xcom_pull(task_ids='catalog')['outputs']"
RUN_ID = "{{ " + CATALOG + "['run_id'] }}"
IDENTITY = ("run_id", "model_version", "as_of")
MODEL_VERSION = "{{ " + CATALOG + "['model_version'] }}"
RESUMED_BY = "{{ (dag_run.triggering_user_name or ' ') if params.resume else '' }}"  # admit refuses a blank name
RESUMED_FOR = "{{ (params.reason or '') if params.resume else '' }}"


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
    flow.follows(
        flow.task("admit", {"resume-by": RESUMED_BY, "reason": RESUMED_FOR}),
        *flow.sharded("ingest", {"data": "{{ params.data or '' }}"}),
        flow.task("catalog", {"as-of": "{{ params.as_of or '' }}"}),
        [flow.gate("canonical", RUN_ID), flow.gate("index", RUN_ID)],
        *flow.sharded("features", {"run-id": RUN_ID}),
        flow.gate("features", RUN_ID),
        *flow.sharded("train", {"run-id": RUN_ID, "model-version": MODEL_VERSION}),
        flow.gate("predictions", RUN_ID),
        flow.start_next("core_backtest_flow", **{name: f"{CATALOG}['{name}']" for name in IDENTITY}),
        run_id="{{ (ti.xcom_pull(task_ids='catalog') or {'outputs': {'run_id': ''}})['outputs']['run_id'] }}",
    )


core_retrain_flow()
