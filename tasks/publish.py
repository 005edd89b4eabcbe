"""publish: register, sign and distribute the judged model (SPEC REG-1, REG-2)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import BlockedError
from core.stores.audit import Audit, Change
from core.stores.bundle_store import assemble, remove, remove_unfinished
from core.stores.bus import Bus
from core.stores.files import write_json
from core.stores.lake_lock import exclusive_lock
from core.stores.registry import Registry, require_judged_against
from core.stores.run_folder import RunFolder
from core.stores.shared_storage import distribute
from core.stores.signing import SigningKeys
from core.stores.tables import ModelStatus, RunStatus
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.notices import tell_applied, tell_verdict
from tasks.publishing import PUBLISHER, JudgedRun, bundle_content, read_judged, registry_facts, standing_refusal

app = typer.Typer()

PRUNED = "MODEL_PRUNED"
STEPS = 6


@app.command()
def publish(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run whose verdict is published.")],
    model_version: Annotated[str, typer.Option(help="The version the run made.")],
    approved_by: Annotated[str | None, typer.Option(help="Who approved, where a person has to.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and make the bundle, then throw it away.")
    ] = False,
) -> None:
    """Register, sign and distribute the judged model; deploy it when it was approved.

    Example: python -m tasks --config configs publish --run-id R --model-version V
    """

    def body(context: TaskContext) -> TaskResult:
        if dry_run:
            return rehearse(context, run_id, model_version)
        return publish_model(context, run_id, model_version, approved_by)

    run_task(command, "publish", body)


def publish_model(context: TaskContext, run_id: str, model_version: str, approved_by: str | None = None) -> TaskResult:
    """The task's body. Each step is harmless when it has been taken, so a killed publish is finished by another one.

    A model that a person has refused stays rejected. Where environment.yaml (`publish_approval`) requires a person, an
    approved one is deployed in the name of `approved_by`, and not without one.

    Approved and rejected models alike are bundled and registered; only an approved one is distributed, deployed and
    announced. One publish at a time works on a models_root.

    Raises:
        InputError: an input is missing or does not belong to the version, or the version stands with other content.
        BlockedError: a number is missing, the verdict compares with a model that is not the deployed one, or nobody has
            approved what a person has to.
        TransientError: PostgreSQL, Redis or the disk did not answer.
    """
    run = context.run(run_id)
    return register_judged(context, run, _judged(context, run, model_version), approved_by)


def register_judged(
    context: TaskContext, run: RunFolder, judged: JudgedRun, approved_by: str | None = None
) -> TaskResult:
    """Bundle and register a judged model, deploy it when it is approved, and write how the chain ended.

    Raises as `publish_model` does.
    """
    model_version = judged.identity.model_version
    bus = Bus(context.variables.redis_url)
    bus.check()
    roots, progress = context.roots, context.progress
    keys = SigningKeys.below(roots.archive, context.settings.environment.signing)
    registry = Registry(context.variables.postgres_url)
    with exclusive_lock(roots.models, f"publish {model_version}", wait=True):
        remove_unfinished(roots.models)
        remove_unfinished(roots.shared)
        _require_current(registry, judged)
        _require_approval(context, registry, judged, approved_by)
        registry.register_draft(registry_facts(judged))
        progress.advance(1, STEPS, "steps")
        assemble(roots.models / model_version, bundle_content(run, judged, context.settings), keys)
        context.storage.flush(roots.models / model_version)
        progress.advance(2, STEPS, "steps")
        registry.register_candidate(model_version)
        told = partial(
            tell_verdict,
            facts=registry_facts(judged),
            approved=judged.approved,
            reasons=judged.notes.partition("\n")[2],
            trace_id=context.trace_id,
        )
        registry.record_verdict(model_version, approved=judged.approved, notes=judged.notes, tell=told)
        progress.advance(3, STEPS, "steps")
        if judged.approved:
            _deploy(context, registry, bus, judged, keys, approved_by or PUBLISHER)
        progress.advance(4, STEPS, "steps")
        pruned = _prune(context, registry)
        progress.advance(5, STEPS, "steps")
    status = _status(registry, model_version)
    reasons = judged.reasons
    if judged.approved and status != ModelStatus.DEPLOYED:
        reasons.append("another model has been deployed since")
    ended = RunStatus.SUCCEEDED if judged.approved else RunStatus.REJECTED
    Audit(context.variables.postgres_url).record_run(
        PUBLISHER, context.trace_id, ended, judged.identity.run_id, judged.notes
    )
    outputs = {**_outputs(context, run, judged, status.value, reasons), "pruned": pruned}
    write_json(run.publish_result, outputs)
    progress.advance(STEPS, STEPS, "steps")
    context.log.info("published", model_version=model_version, status=status.value)
    return TaskResult(outputs=outputs, metrics=_metrics(judged))


def rehearse(context: TaskContext, run_id: str, model_version: str) -> TaskResult:
    """Everything publish checks, and a bundle made and verified in a temporary folder; nothing is kept or written.

    Raises as `publish_model` does.
    """
    run = context.run(run_id)
    judged = _judged(context, run, model_version)
    Bus(context.variables.redis_url).check()
    registry = Registry(context.variables.postgres_url)
    _require_current(registry, judged)
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    with tempfile.TemporaryDirectory() as folder:
        assemble(Path(folder) / model_version, bundle_content(run, judged, context.settings), keys)
    status = "would be deployed" if judged.approved else "would be rejected"
    return TaskResult(outputs=_outputs(context, run, judged, status, judged.reasons), metrics=_metrics(judged))


def _judged(context: TaskContext, run: RunFolder, model_version: str) -> JudgedRun:
    refusal = standing_refusal(Audit(context.variables.postgres_url), model_version)
    return replace(read_judged(run, model_version), refusal=refusal)


def _require_current(registry: Registry, judged: JudgedRun) -> None:
    """Before anything is written: an approved verdict that was never applied compares with the deployed model."""
    version = judged.identity.model_version
    deployed = registry.deployed()
    if judged.approved and not registry.was_deployed(version):
        require_judged_against(deployed, judged.replaces)


def _require_approval(context: TaskContext, registry: Registry, judged: JudgedRun, approved_by: str | None) -> None:
    """Before anything is written: whoever calls publish, a person has approved what is deployed for the first time."""
    version = judged.identity.model_version
    if not context.settings.environment.publish_approval.required or (approved_by or "").strip():
        return
    if judged.approved and not registry.was_deployed(version):
        raise BlockedError(
            "PUBLISH_APPROVAL_MISSING",
            "a person has to approve the model before it is deployed, and nobody has",
            where=f"--approved-by of {version}",
            remedy="clear the task approve of core_publish_flow, so that an approver is asked and answers",
        )


def _deploy(
    context: TaskContext, registry: Registry, bus: Bus, judged: JudgedRun, keys: SigningKeys, actor: str
) -> None:
    version = judged.identity.model_version
    distribute(context.roots.models / version, context.roots.shared, keys.public_key)
    context.storage.flush(context.roots.shared / version)
    if not registry.was_deployed(version):
        facts, replaces, trace_id = registry_facts(judged), judged.replaces, context.trace_id
        told = partial(tell_applied, facts=facts, replaces=replaces, actor=actor, trace_id=trace_id)
        registry.deploy(version, replaces=replaces, actor=actor, reason=judged.notes, trace_id=trace_id, tell=told)
    deployment = registry.deployment()
    if deployment is not None and deployment.model.model_version == version:
        bus.announce_model(deployment, version)


def _prune(context: TaskContext, registry: Registry) -> list[str]:
    """Delete the artifacts of versions beyond the policy's number; their rows stay in the registry."""
    kept = context.settings.retrain_policy.versions_kept
    roots = context.roots
    pruned = [version for version in registry.beyond(kept) if (roots.models / version).is_dir()]
    audit = Audit(context.variables.postgres_url)
    for version in pruned:
        reason = f"more than {kept} versions"
        audit.record_change(Change(PRUNED, PUBLISHER, version, None, None, reason, context.trace_id))
        remove(roots.shared / version)
        remove(roots.models / version)
    return pruned


def _status(registry: Registry, model_version: str) -> ModelStatus:
    entry = registry.find(model_version)
    if entry is None:
        raise RuntimeError(f"{model_version} was registered and is gone")
    return entry.status


def _outputs(
    context: TaskContext, run: RunFolder, judged: JudgedRun, status: str, reasons: list[str]
) -> dict[str, Any]:
    version = judged.identity.model_version
    return {
        "model_version": version,
        "status": status,
        "reasons": reasons,
        "theta1": judged.verdict["theta1"],
        "theta2": judged.verdict["theta2"],
        "bundle": str(context.roots.models / version),
        "replaces": judged.replaces,
        "run_dir": str(run.path),
    }


def _metrics(judged: JudgedRun) -> dict[str, float]:
    return {name: judged.verdict[name] for name in ("sharpe", "max_drawdown", "trades_per_year")}
