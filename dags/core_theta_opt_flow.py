"""
### core_theta_opt_flow: the θ search and the verdict

Searches θ on the months before the adoption window, then backtests once at the chosen θ on the adoption window and
writes the verdict with every number behind it, and the model's report (HTML and PDF). A verdict of *rejected* is a
result and has its report as well. `core_publish_flow` follows.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.factory.flow import MODEL, RUN_ID, Flow, chained_params
from dags.factory.tags import Tag

flow = Flow.from_environment()


@dag(
    dag_id="core_theta_opt_flow",
    schedule=None,
    **flow.arguments(Tag.CORE, Tag.THETA, doc=__doc__, params=chained_params()),
)
def core_theta_opt_flow() -> None:
    flow.follows(
        *flow.sharded("theta", MODEL),
        flow.task("report", MODEL),
        flow.start_next("core_publish_flow", verdict="ti.xcom_pull(task_ids='theta')['outputs']['status']"),
        run_id=RUN_ID,
    )


core_theta_opt_flow()
