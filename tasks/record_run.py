"""record-run: write how a flow ended to audit.retrain_runs (SPEC ORC-1)."""

from __future__ import annotations

from typing import Annotated

import typer

from core.stores.audit import Audit
from core.stores.tables import RunStatus
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult

app = typer.Typer()


@app.command()
def record_run(
    command: typer.Context,
    dag_id: Annotated[str, typer.Option(help="The flow that ended.")],
    status: Annotated[RunStatus, typer.Option(help="How it ended.")],
    run_id: Annotated[str | None, typer.Option(help="The run, once it was identified.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in words.")] = None,
) -> None:
    """Write how a flow ended to the audit log; the same ending of the same chain is written once.

    Example: python -m tasks --config configs --trace-id T record-run --dag-id core_retrain_flow --status failed
    """
    run_task(command, "record-run", lambda context: record(context, dag_id, status, run_id, reason))


def record(context: TaskContext, dag_id: str, status: RunStatus, run_id: str | None, reason: str | None) -> TaskResult:
    """The task's body. `failures_in_a_row` counts the newest chains that failed, this one included."""
    audit = Audit(context.variables.postgres_url)
    new = audit.record_run(dag_id, context.trace_id, status, run_id, reason)
    failures = audit.failures_in_a_row()
    context.log.info("flow_ended", dag_id=dag_id, status=status.value, reason=reason, failures_in_a_row=failures)
    return TaskResult(outputs={"recorded": new, "failures_in_a_row": failures})
