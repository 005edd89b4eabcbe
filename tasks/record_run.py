"""record-run: write how a flow ended, tell people, and pause retraining where it fails again (SPEC ORC-1)."""

from __future__ import annotations

from typing import Annotated

import typer

from core.postgres import open_engine, transaction
from core.stores.audit import append_run
from core.stores.retraining import failures_in_a_row, lock_retraining, pause, standing_pause
from core.stores.tables import RunStatus
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.notices import tell_ended, tell_paused

app = typer.Typer()


@app.command()
def record_run(
    command: typer.Context,
    dag_id: Annotated[str, typer.Option(help="The flow that ended.")],
    status: Annotated[RunStatus, typer.Option(help="How it ended.")],
    run_id: Annotated[str | None, typer.Option(help="The run, once it was identified.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in words.")] = None,
) -> None:
    """Write how a flow ended to the audit log; the same ending of the same chain is written, and told, once.

    So many failed chains in a row as retrain_policy.yaml says (pause_after_failures) pause retraining until `admit` is
    given a person's name and reason.

    Example: python -m tasks --config configs --trace-id T record-run --dag-id core_retrain_flow --status failed
    """
    run_task(command, "record-run", lambda context: record(context, dag_id, status, run_id, reason))


def record(context: TaskContext, dag_id: str, status: RunStatus, run_id: str | None, reason: str | None) -> TaskResult:
    """The task's body: the ending, what people are told of it, and a pause where it is one failure too many, at once.

    `failures_in_a_row` counts the newest chains that failed, this one included, since a person last resumed retraining.
    """
    settings, trace_id = context.settings, context.trace_id
    with transaction(open_engine(context.variables.postgres_url)) as connection:
        lock_retraining(connection)
        new = append_run(connection, dag_id, trace_id, status, run_id, reason)
        failures = failures_in_a_row(connection)
        if new:
            tell_ended(connection, dag_id, trace_id, status, run_id, reason)
        paused = standing_pause(connection) is not None
        limit = settings.retrain_policy.pause_after_failures
        if new and status is RunStatus.FAILED and failures >= limit and not paused:
            paused, why = True, reason or "no reason was given"
            change = pause(connection, dag_id, failures, why, trace_id)
            tell_paused(connection, change, settings.environment.alert_recipient, failures, why, trace_id)
    context.log.info(
        "flow_ended", dag_id=dag_id, status=status.value, reason=reason, failures_in_a_row=failures, paused=paused
    )
    return TaskResult(outputs={"recorded": new, "failures_in_a_row": failures, "retraining_paused": paused})
