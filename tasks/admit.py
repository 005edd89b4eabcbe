"""admit: let a retraining start, unless retraining is paused (SPEC ORC-1)."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import BlockedError, InputError
from core.postgres import open_engine, transaction
from core.stores.retraining import RETRAIN_FLOW, lock_retraining, resume, standing_pause
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.notices import tell_resumed

app = typer.Typer()


@app.command()
def admit(
    command: typer.Context,
    resume_by: Annotated[str | None, typer.Option(help="Who resumes retraining where it is paused.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why it may run again, in words.")] = None,
) -> None:
    """Go on where retraining may run; exit with 11 where failures in a row have paused it.

    Example: python -m tasks --config configs admit --resume-by ann --reason "the disk is larger now"
    """
    run_task(command, "admit", lambda context: admit_retraining(context, resume_by, reason))


def admit_retraining(context: TaskContext, resume_by: str | None, reason: str | None) -> TaskResult:
    """The task's body. Resuming what is not paused is harmless and leaves no trace.

    Raises:
        BlockedError: retraining is paused and nobody resumes it.
        InputError: it is resumed without a name or without a reason.
    """
    if resume_by is not None and not (resume_by.strip() and reason and reason.strip()):
        raise InputError(
            "RETRAIN_RESUME_UNSIGNED",
            "retraining is resumed by a person who says why",
            where="--resume-by, --reason",
            remedy="give both in words",
        )
    with transaction(open_engine(context.variables.postgres_url)) as connection:
        lock_retraining(connection)
        paused = standing_pause(connection)
        if paused is not None:
            if resume_by is None or reason is None:
                raise BlockedError(
                    "RETRAIN_RUN_PAUSED",
                    f"retraining is paused since {paused.since:%Y-%m-%d %H:%M} UTC; the last failure: {paused.reason}",
                    where=f"audit.config_changes {RETRAIN_FLOW}",
                    remedy="mend what failed, then start the flow with `resume` and a reason; your login is the name",
                )
            change = resume(connection, resume_by, reason, context.trace_id)
            tell_resumed(connection, change, resume_by, reason, context.trace_id)
    resumed = paused is not None
    context.log.info("admitted", resumed=resumed, by=resume_by)
    return TaskResult(outputs={"resumed": resumed})
