"""
### core_publish_flow: from the verdict to the first signal

`publish` registers the model with its verdict and, if it was approved, signs and distributes the bundle. `infer` then
verifies that bundle, loads it, and emits the newest signal; it is skipped where nothing was deployed.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, dag, task

from dags.factory.flow import AS_OF, MODEL_VERSION, RUN_ID, Flow, chained_params
from dags.factory.tags import Tag

flow = Flow.from_environment()


@task.short_circuit(ignore_downstream_trigger_rules=False)
def deployed(published: dict[str, Any]) -> bool:
    """Whether the model may emit signals now."""
    return bool(published["outputs"]["status"] == "deployed")


@dag(
    dag_id="core_publish_flow",
    schedule=None,
    **flow.arguments(Tag.CORE, Tag.PUBLISH, doc=__doc__, params=chained_params()),
)
def core_publish_flow() -> None:
    publish = flow.task("publish", run_id=RUN_ID, model_version=MODEL_VERSION)
    decision: BaseOperator = deployed(publish.output).operator
    infer = flow.task("infer", run_id=RUN_ID, model_version=MODEL_VERSION, as_of=AS_OF)
    flow.ends_with(publish, decision, infer, run_id=RUN_ID)


core_publish_flow()
