"""
### core_theta_opt_flow: the θ search and the verdict

Searches θ on the months before the adoption window, then backtests once at the chosen θ on the adoption window and
writes the verdict with every number behind it, and the model's report (HTML and PDF). A verdict of *rejected* is a
result and has its report as well. `core_publish_flow` follows.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.factory.flow import AS_OF, MODEL_VERSION, RUN_ID, Flow, chained_params
from dags.factory.tags import Tag

flow = Flow.from_environment()


@dag(
    dag_id="core_theta_opt_flow",
    schedule=None,
    **flow.arguments(Tag.CORE, Tag.THETA, doc=__doc__, params=chained_params()),
)
def core_theta_opt_flow() -> None:
    flow.ends_with(
        flow.task("theta", run_id=RUN_ID, model_version=MODEL_VERSION),
        flow.task("report", run_id=RUN_ID, model_version=MODEL_VERSION),
        flow.start_next("core_publish_flow", run_id=RUN_ID, model_version=MODEL_VERSION, as_of=AS_OF),
        run_id=RUN_ID,
    )


core_theta_opt_flow()
