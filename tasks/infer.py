"""infer: emit the newest signal of the deployed model, once (SPEC SRV-2, SRV-3)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from core.stores.bundle_store import open_bundle
from core.stores.bus import Bus
from core.stores.catalog_index import read_index
from core.stores.files import write_json
from core.stores.journal import Journal
from core.stores.market_data import load_pairs
from core.stores.registry import Registry
from core.stores.run_folder import RunFolder
from core.stores.signing import SigningKeys
from tasks.app import run_task
from tasks.as_of import parse_as_of
from tasks.context import TaskContext, TaskResult
from tasks.decided_signal import decided_signal
from tasks.decisions import DeployedDecision, Passed, known_bars

app = typer.Typer()

JOURNAL: Final = "infer.sqlite"


@app.command()
def infer(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run whose bars are read.")],
    model_version: Annotated[str, typer.Option(help="The version expected to be deployed.")],
    as_of: Annotated[str, typer.Option(help="ISO 8601 instant with its offset that counts as now.")],
) -> None:
    """Emit the newest signal of the deployed model; that none passes is a result too.

    Example: python -m tasks --config configs infer --run-id R --model-version V --as-of 2022-03-04T22:00:00Z
    """
    run_task(command, "infer", lambda context: infer_newest(context, run_id, model_version, as_of))


def infer_newest(context: TaskContext, run_id: str, model_version: str, as_of: str) -> TaskResult:
    """The task's body. Writes signal.json: ``{"signal": {…} | null, "reason": null | "…", …}``.

    The bundle is verified before anything of it is read. Bars that had not closed at `as_of` do not exist. The newest
    decision within `signal.scan_bars` bars is journalled, then sent to Redis; it may be past its `valid_until` at
    `as_of`, which `expired` says. Running it again emits nothing twice.

    Raises:
        InputError: the bundle is refused, or the run is unknown.
        TransientError: PostgreSQL, Redis or the disk did not answer.
    """
    run, instant = context.run(run_id), parse_as_of(as_of)
    deployed = Registry(context.variables.postgres_url).deployed()
    if deployed is None or deployed.model_version != model_version:
        found = f"{deployed.model_version} is" if deployed is not None else "no model is"
        return _without_signal(run, as_of, f"{model_version} is not deployed: {found}")
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    decision = DeployedDecision(open_bundle(context.shared_bundle(model_version), keys.public_key))
    scan_bars = context.settings.core_policy.signal.scan_bars
    pairs = load_pairs(context.roots, context.settings, read_index(run.dataset_index), None)
    passed: list[Passed] = []
    for number, bars in enumerate(pairs.values(), start=1):
        newest = decision.newest(known_bars(bars, int(instant.timestamp())), scan_bars)
        passed += [newest] if newest is not None else []
        context.progress.advance(number, len(pairs), "pairs")
    if not passed:
        return _without_signal(run, as_of, f"no decision of the last {scan_bars} bars of {len(pairs)} pairs passes")
    first = max(passed, key=lambda each: (each.ts, each.return_prob, each.pair_id))
    signal = decided_signal(context.settings, decision.rules, first, model_version=model_version, run_id=run_id)
    with Journal(context.roots.journal / JOURNAL) as journal:
        journal.write(signal)
        journal.deliver(Bus(context.variables.redis_url), signal.timestamp)
    content = {
        "signal": signal.model_dump(mode="json"),
        "reason": None,
        "as_of": as_of,
        "expired": signal.valid_until < instant,
    }
    write_json(run.signal, content)
    context.log.info("signal_emitted", id=signal.id, pair_id=signal.pair_id, at=signal.timestamp.isoformat())
    return TaskResult(outputs={**content, "signal_file": str(run.signal)}, metrics={"pairs_passing": len(passed)})


def _without_signal(run: RunFolder, as_of: str, reason: str) -> TaskResult:
    content: dict[str, Any] = {"signal": None, "reason": reason, "as_of": as_of}
    write_json(run.signal, content)
    return TaskResult(outputs={**content, "signal_file": str(run.signal)})
