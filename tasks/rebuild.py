"""A model built again from its record, by the bodies of the tasks that built it (SPEC TRN-4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from core.stores.files import sha256_file
from tasks.backtest import backtest_run
from tasks.context import TaskContext, TaskResult
from tasks.features import build_run
from tasks.gate import run_gate_of
from tasks.gates import Gate
from tasks.publishing import bundle_content, read_judged
from tasks.recorded_run import RecordedRun
from tasks.stage_progress import StageProgress
from tasks.theta import theta_run
from tasks.train import train_run

Body = Callable[[TaskContext, str, str], TaskResult]


def _gate(name: Gate) -> tuple[str, Body]:
    return f"gate {name}", lambda context, run_id, _: run_gate_of(context, name, run_id)


STAGES: Final[tuple[tuple[str, Body], ...]] = (
    _gate(Gate.CANONICAL),
    _gate(Gate.INDEX),
    ("features", lambda context, run_id, _: build_run(context, run_id)),
    _gate(Gate.FEATURES),
    ("train", train_run),
    _gate(Gate.PREDICTIONS),
    ("backtest", backtest_run),
    ("theta", theta_run),
)


@dataclass(frozen=True)
class Rebuilt:
    """SHA-256 of every file of the bundle the rebuilt run would be published as, and its verdict."""

    hashes: Mapping[str, str]
    verdict: Mapping[str, Any]


def rebuild(context: TaskContext, recorded: RecordedRun, folder: Path) -> Rebuilt:
    """Run the tasks after catalog below `folder`, whose `canonical` holds the recorded bars.

    Features are computed anew: the cache is not looked at. No server is within reach of the tasks, so that registry,
    Redis and the θ trials kept there can be neither read nor touched; the bundles of models_root are read, for the
    comparison with the model then deployed.

    Raises:
        CoreError: what the tasks raise.
    """
    inside = replace(
        recorded.context(context, folder / "canonical"),
        variables=replace(context.variables, postgres_url="", redis_url=""),
    )
    inside = replace(inside, roots=replace(inside.roots, features=folder / "features", runs=folder / "runs"))
    identity = recorded.identity
    run = inside.run(identity.run_id)
    recorded.lay_out(run)
    for number, (name, body) in enumerate(STAGES, start=1):
        context.log.info("rebuilding", stage=name, number=number, stages=len(STAGES))
        progress = StageProgress(context.progress, f"{name} (stage {number} of {len(STAGES)})")
        body(replace(inside, progress=progress), identity.run_id, identity.model_version)
    judged = read_judged(run, identity.model_version)
    return Rebuilt(
        hashes={name: _sha256(source) for name, source in bundle_content(run, judged, recorded.settings).items()},
        verdict=judged.verdict,
    )


def _sha256(source: Path | bytes) -> str:
    return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else sha256_file(source)
