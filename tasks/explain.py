"""explain: replay a signal, or the decision at any bar, and show what it was made of (SPEC TRN-4)."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from core.errors import InputError
from core.market.pairs import PairBars
from core.signals.signal import Signal
from core.stores.bundle_store import Bundle
from core.stores.market_data import load_pairs
from core.stores.partition import iso
from tasks.app import run_task
from tasks.as_of import parse_as_of
from tasks.context import TaskContext, TaskResult
from tasks.decided_signal import decided_signal
from tasks.decisions import DeployedDecision
from tasks.examination import bars_until, examine
from tasks.explanation import Replay, print_explanation
from tasks.recorded_run import RecordedRun, open_model, run_of_bundle, run_of_folder
from tasks.recorded_signal import RecordedSignal, find_recorded
from tasks.reproduce import DIFFERS

app = typer.Typer()

_NAMED = 5


@app.command()
def explain(
    command: typer.Context,
    signal_id: Annotated[str | None, typer.Option(help="A signal that was sent or journalled.")] = None,
    model_version: Annotated[str | None, typer.Option(help="A published version, with --pair and --bar.")] = None,
    pair: Annotated[str | None, typer.Option(help="A pair's id.")] = None,
    bar: Annotated[str | None, typer.Option(help="When the bar opens: ISO 8601 with its offset.")] = None,
    run_id: Annotated[
        str | None, typer.Option(help="The run whose bars are taken; else the one that made the model.")
    ] = None,
) -> None:
    """Replay a decision to its features, scores, probabilities, θ and conditions; compare it with the recorded signal.

    Without a recorded signal, any bar of a pair is replayed. The last line's status is `equal` or `replayed` (exit code
    0), or `differs` (12).

    Examples:

    python -m tasks --config configs explain --signal-id 0123456789abcdef0123456789abcdef

    python -m tasks --config configs explain --model-version V --pair EURJPY-GBPJPY --bar 2022-03-04T21:00:00Z
    """
    if signal_id is not None and model_version is None and pair is None and bar is None and run_id is None:
        run_task(command, "explain", lambda context: explain_signal(context, signal_id))
    elif signal_id is None and model_version is not None and pair is not None and bar is not None:
        run_task(command, "explain", lambda context: explain_bar(context, model_version, pair, bar, run_id))
    else:
        raise typer.BadParameter("give either --signal-id, or --model-version with --pair and --bar")


def explain_signal(context: TaskContext, identity: str) -> TaskResult:
    """Replay a recorded signal and hold it against the record, byte for byte.

    Raises:
        InputError: the signal is unknown or its record altered; its model, run or bars are gone.
        TransientError: Redis or the disk did not answer.
    """
    recorded = find_recorded(context, identity)
    signal = recorded.signal
    replayed = replay(context, signal.model_version, signal.pair_id, recorded.bar_ts, recorded.run_id)
    return _told(replayed, recorded)


def explain_bar(context: TaskContext, model_version: str, pair_id: str, bar: str, run_id: str | None) -> TaskResult:
    """Replay the decision a model takes at a bar's close.

    Raises:
        InputError: no such pair or bar; the model, the run or the bars are gone.
    """
    return _told(replay(context, model_version, pair_id, int(parse_as_of(bar).timestamp()), run_id), None)


def replay(context: TaskContext, model_version: str, pair_id: str, bar_ts: int, run_id: str | None) -> Replay:
    """The decision of a version at the bar opening at `bar_ts` (epoch seconds UTC), on the bars of a run.

    The bundle is verified before anything of it is read.

    Raises:
        InputError: no such pair or bar; the model, the run or the bars are gone.
    """
    bundle = open_model(context, model_version)
    run = _run(context, bundle, run_id)
    decision = DeployedDecision(bundle)
    examination = examine(decision, _bars(context, run, pair_id, bar_ts))
    signal = None
    if examination.passed is not None:
        signal = decided_signal(
            run.settings,
            decision.rules,
            examination.passed,
            model_version=model_version,
            run_id=run.identity.run_id,
        )
    rules = decision.rules
    return Replay(model_version, run.identity.run_id, rules.theta1, rules.theta2, examination, signal)


def _run(context: TaskContext, bundle: Bundle, run_id: str | None) -> RecordedRun:
    """The run whose bars were decided on: the one that made the model, or a later one of which the folder is there."""
    made = run_of_bundle(context, bundle)
    if run_id is None or run_id == made.identity.run_id:
        return made
    return run_of_folder(context, context.run_folder(run_id))


def _bars(context: TaskContext, run: RecordedRun, pair_id: str, bar_ts: int) -> PairBars:
    """The pair's bars up to the one opening at `bar_ts`, as the run knew them."""
    month = pd.Timestamp(bar_ts, unit="s")
    legs = {leg for pair in run.settings.universe.pairs if pair.id == pair_id for leg in (pair.a, pair.b)}
    reach = run.index["year"] * 12 + run.index["month"] <= month.year * 12 + month.month
    index = run.index[run.index["symbol"].isin(legs) & reach]
    with tempfile.TemporaryDirectory() as folder:
        canonical = Path(folder)
        supplies = run.supply(context, index, canonical)
        lost = [str(supply.key) for supply in supplies if supply.source == "nowhere"]
        if lost:
            raise InputError(
                "EXPLAIN_BARS_MISSING",
                f"{len(lost)} partitions no longer hold the bars the run used, and no snapshot does:"
                f" {', '.join(lost[:_NAMED])}{' …' if len(lost) > _NAMED else ''}",
                where="canonical_root and snapshots_root",
                remedy="restore these partitions or snapshots from a backup",
            )
        inside = run.context(context, canonical)
        bars = load_pairs(inside.roots, run.settings, index, [pair_id])[pair_id]
    known = bars_until(bars, bar_ts)
    if known is None:
        raise InputError(
            "EXPLAIN_BAR_ABSENT",
            f"no bar of {pair_id} opens at {iso(bar_ts)}",
            where=f"run {run.identity.run_id}",
            remedy="name a bar by its open, within the run's history and the pair's trading hours",
        )
    return known


def _told(replayed: Replay, recorded: RecordedSignal | None) -> TaskResult:
    """Print the explanation and return the last line."""
    examination, signal = replayed.examination, replayed.signal
    differing = _differing(recorded.signal, signal) if recorded is not None else []
    same = recorded is not None and signal is not None and signal.to_json() == recorded.body
    print_explanation(replayed, recorded, same=same, differing=differing)
    status = "replayed" if recorded is None else "equal" if same else "differs"
    return TaskResult(
        status=status,
        exit_code=DIFFERS if status == "differs" else 0,
        outputs={
            "pair_id": examination.pair_id,
            "bar": iso(examination.ts),
            "model_version": replayed.model_version,
            "run_id": replayed.run_id,
            "theta1": replayed.theta1,
            "theta2": replayed.theta2,
            "features": examination.features,
            "scaled": examination.scaled,
            "scores": asdict(examination.scores) if examination.scores is not None else None,
            "conditions": [asdict(condition) for condition in examination.conditions],
            "signal": signal.model_dump(mode="json") if signal is not None else None,
            "recorded": recorded.signal.model_dump(mode="json") if recorded is not None else None,
            "recorded_in": recorded.found_in if recorded is not None else None,
            "differing": differing,
        },
    )


def _differing(recorded: Signal, replayed: Signal | None) -> list[str]:
    """Names of the fields in which a record differs from its replay; all of them where the replay does not pass."""
    old: dict[str, Any] = recorded.model_dump(mode="json")
    new: dict[str, Any] = replayed.model_dump(mode="json") if replayed is not None else {}
    return [name for name in old if old[name] != new.get(name)]
