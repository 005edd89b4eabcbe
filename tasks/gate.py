"""gate: hold what a run has written against one of its gates (SPEC CAT-4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import pandas as pd
import typer

from core.errors import CoreError, InputError, QualityError
from core.postgres import open_engine, transaction
from core.quality.admission import ADMITTED
from core.quality.suites import Suite, canonical_suite, features_suite, index_suite, predictions_suite
from core.stores.catalog_index import read_index
from core.stores.files import sha256_file
from core.stores.gate_reports import run_gate
from core.stores.market_data import load_symbol
from core.stores.run_folder import RunFolder
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.gates import Gate, gated_file, keep_passed
from tasks.notices import tell_gate_failed
from tasks.replay_record import read_parquet

app = typer.Typer()


@app.command()
def gate(
    command: typer.Context,
    name: Annotated[Gate, typer.Option(help="Which gate.")],
    run_id: Annotated[str, typer.Option(help="The run, as catalog printed it.")],
) -> None:
    """Hold a run's bars, index, features or predictions against Great Expectations.

    The report is a page in the run's folder whether the gate passes or not; where it does not, the exit code is 10.
    Tasks that go on from what a gate looks at refuse to without its pass.

    Example: python -m tasks --config configs gate --name canonical --run-id R
    """
    run_task(command, "gate", lambda context: run_gate_of(context, name, run_id), process=f"gate-{name}")


def run_gate_of(context: TaskContext, name: Gate, run_id: str) -> TaskResult:
    """The task's body. Writes runs_root/{run_id}/gates/{name}/: index.html and, when it passed, passed.json.

    Raises:
        QualityError: the gate failed; its outputs are those of a gate that passes.
        InputError: the run is unknown, or has not written yet what the gate looks at.
        TransientError: the disk is full.
    """
    run = context.run(run_id)
    run.read_identity()
    looked_at = gated_file(run, name)
    if not looked_at.is_file():
        raise InputError(
            "GATE_INPUT_MISSING",
            f"the run has no {looked_at.name} for the gate {name} to look at",
            where=str(looked_at),
            remedy=f"run {_WRITTEN_BY[name]} of this run first",
        )
    sha256 = sha256_file(looked_at)
    report = run.gate(name) / "index.html"
    outputs = {"gate": name.value, "run_id": run_id, "report": os.path.relpath(report, context.roots.archive)}
    try:
        run_gate(name.value, _suite(context, name), _FRAMES[name](context, run), run.gate(name))
    except QualityError as error:
        _tell(context, outputs, error)
        raise QualityError(
            error.code, error.message, where=error.where, remedy=error.remedy, outputs=outputs
        ) from error
    keep_passed(run, name, sha256)
    return TaskResult(outputs=outputs)


def _tell(context: TaskContext, outputs: Mapping[str, str], failure: QualityError) -> None:
    """That the gate failed stands whether people can be told of it or not."""
    try:
        with transaction(open_engine(context.variables.postgres_url)) as connection:
            tell_gate_failed(connection, **outputs, reason=failure.message, trace_id=context.trace_id)
    except CoreError as error:
        context.log.warning("gate_failure_not_told", error=str(error))


def _suite(context: TaskContext, name: Gate) -> Suite:
    core, thresholds = context.settings.core_policy, context.settings.pipeline_policy.dq_thresholds
    return {
        Gate.CANONICAL: canonical_suite(thresholds),
        Gate.INDEX: index_suite(thresholds),
        Gate.FEATURES: features_suite(core.feature_windows),
        Gate.PREDICTIONS: predictions_suite(core.position_scale),
    }[name]


def _every_bar(context: TaskContext, run: RunFolder) -> pd.DataFrame:
    index = read_index(run.dataset_index)
    bars = {
        symbol: load_symbol(context.roots, context.settings, index, symbol)
        for symbol in sorted(context.settings.universe.symbols)
    }
    return pd.concat([frame.assign(symbol=symbol) for symbol, frame in bars.items()], ignore_index=True)


def _admitted(_: TaskContext, run: RunFolder) -> pd.DataFrame:
    index = read_index(run.dataset_index)
    return index[index[ADMITTED]].reset_index(drop=True)


def _rows(name: Gate) -> Callable[[TaskContext, RunFolder], pd.DataFrame]:
    def read(_: TaskContext, run: RunFolder) -> pd.DataFrame:
        frame: pd.DataFrame = read_parquet(gated_file(run, name)).to_pandas()
        return frame

    return read


_FRAMES: Final[dict[Gate, Callable[[TaskContext, RunFolder], pd.DataFrame]]] = {
    Gate.CANONICAL: _every_bar,
    Gate.INDEX: _admitted,
    Gate.FEATURES: _rows(Gate.FEATURES),
    Gate.PREDICTIONS: _rows(Gate.PREDICTIONS),
}
_WRITTEN_BY: Final = {
    Gate.CANONICAL: "catalog",
    Gate.INDEX: "catalog",
    Gate.FEATURES: "features",
    Gate.PREDICTIONS: "train",
}
