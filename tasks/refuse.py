"""refuse: register the judged model as rejected because a person said no, or nobody said yes in time (SPEC ORC-3)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from core.errors import InputError
from core.stores.audit import Audit, Change
from core.stores.registry import Registry
from core.stores.tables import ModelStatus
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.notices import tell_refused
from tasks.publish import register_judged
from tasks.publishing import REFUSED, Refusal, read_judged, standing_refusal

app = typer.Typer()


@app.command()
def refuse(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run whose verdict is not followed.")],
    model_version: Annotated[str, typer.Option(help="The version the run made.")],
    actor: Annotated[str, typer.Option(help="Who says no; what waited, where nobody answered in time.")],
    reason: Annotated[str, typer.Option(help="Why, in words.")],
) -> None:
    """Register the judged model as rejected, whatever its verdict; nothing is distributed or deployed.

    Example: python -m tasks --config configs refuse --run-id R --model-version V --actor ann --reason "wait for March"
    """
    run_task(
        command, "refuse", lambda context: refuse_model(context, run_id, model_version, actor=actor, reason=reason)
    )


def refuse_model(context: TaskContext, run_id: str, model_version: str, *, actor: str, reason: str) -> TaskResult:
    """The task's body. The version's bundle is kept and its notes name the verdict's reasons and the refusal's.

    The refusal stands in audit.config_changes before anything else is done, so that no publish of the version deploys
    it from then on. Refusing again is harmless; the first refusal is the one that counts.

    Raises:
        InputError: actor or reason is empty, an input is missing or of another version, the version is approved.
        BlockedError: a number of the verdict is missing.
        TransientError: PostgreSQL, Redis or the disk did not answer.
    """
    if not actor.strip() or not reason.strip():
        raise InputError(
            "PUBLISH_REFUSAL_UNSIGNED",
            "a refusal names who refuses, and why",
            where="--actor, --reason",
            remedy="give both in words",
        )
    run = context.run(run_id)
    judged = read_judged(run, model_version)
    _require_undecided(context, model_version)
    audit = Audit(context.variables.postgres_url)
    refusal = standing_refusal(audit, model_version)
    if refusal is None:
        refusal = Refusal(actor, reason)
        change = Change(REFUSED, actor, model_version, None, None, reason, context.trace_id)
        told = partial(tell_refused, model_version=model_version, actor=actor, reason=reason, trace_id=context.trace_id)
        audit.record_change(change, told)
    return register_judged(context, run, replace(judged, refusal=refusal))


def _require_undecided(context: TaskContext, model_version: str) -> None:
    entry = Registry(context.variables.postgres_url).find(model_version)
    if entry is not None and entry.status in {ModelStatus.APPROVED, ModelStatus.DEPLOYED, ModelStatus.ROLLED_BACK}:
        raise InputError(
            "PUBLISH_REFUSAL_LATE",
            f"the version is {entry.status} by now: there is nothing left to refuse",
            where=f"core.model_registry {model_version}",
            remedy="withdraw a deployed model by a rollback",
        )
