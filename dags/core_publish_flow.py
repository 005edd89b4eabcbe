"""
### core_publish_flow: from the verdict to the first signal

Where `publish_approval` of environment.yaml asks for it, `rehearse` checks everything `publish` would, and if a model
would be deployed, `approve` waits for a person under *Required Actions*. A refusal, and no answer in time, end the run
without publishing: `refuse` registers the model as rejected, with who refused and why. A rejected verdict needs nobody.
`publish` is given the approver's name and deploys nothing without it, whatever state `approve` was set to by hand.

`publish` registers the model with its verdict and, if it was approved, signs and distributes the bundle. `infer` then
verifies that bundle, loads it, and emits the newest signal; it is skipped where nothing was deployed, as in a dry run.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, TriggerRule, chain, dag, task

from dags.factory.flow import APPROVED_BY, AS_OF, MODEL, RUN_ID, Flow, publish_params
from dags.factory.tags import Tag

flow = Flow.from_environment()


@task.short_circuit(ignore_downstream_trigger_rules=False)
def deployed(published: dict[str, Any]) -> bool:
    """Whether the model may emit signals now."""
    return bool(published["outputs"]["status"] == "deployed")


@dag(
    dag_id="core_publish_flow",
    schedule=None,
    **flow.arguments(Tag.CORE, Tag.PUBLISH, doc=__doc__, params=publish_params()),
)
def core_publish_flow() -> None:
    required = flow.settings.environment.publish_approval.required
    publish = flow.task(
        "publish",
        {**MODEL, "approved-by": APPROVED_BY} if required else MODEL,
        {"dry-run": "params.dry_run"},
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,  # also where nobody need approve
    )
    decision: BaseOperator = deployed(publish.output).operator
    infer = flow.task("infer", {**MODEL, "as-of": AS_OF})
    asked: list[BaseOperator] = []
    if required:
        rehearse = flow.task("publish", MODEL, {"dry-run": "true"}, task_id="rehearse")
        approve, refuse = flow.approval(), flow.refusal(MODEL)
        chain(rehearse, approve, [publish, refuse])
        rehearse >> publish
        asked = [rehearse, approve, refuse]
    chain(publish, decision, infer)
    flow.records(*asked, publish, decision, infer, run_id=RUN_ID)


core_publish_flow()
