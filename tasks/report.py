"""report: what a judged run rests on, as a page and a PDF a person can read (SPEC S15, ANA-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from core.errors import InputError
from core.models.leakage.certificate import read_certificate
from core.report.compose import compose
from core.report.html import render_html
from core.report.material import CANDIDATE_COLUMNS, Material
from core.report.pdf import render_pdf
from core.stores.files import read_json, write_bytes
from core.stores.run_folder import RunFolder
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.replay_record import read_parquet, read_record, require_version

app = typer.Typer()

_STAGES = 3


@app.command()
def report(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run, as catalog printed it.")],
    model_version: Annotated[str, typer.Option(help="The version the run makes.")],
) -> None:
    """Write the report of a judged run, approved or rejected: HTML with its plots inside, and PDF.

    Example: python -m tasks --config configs report --run-id R --model-version V
    """
    run_task(command, "report", lambda context: report_run(context, run_id, model_version))


def report_run(context: TaskContext, run_id: str, model_version: str) -> TaskResult:
    """The task's body. Writes runs_root/{run_id}/report/: report.html and report.pdf.

    The same run gives the same bytes.

    Raises:
        InputError: the run is unknown, makes another version, or has no verdict yet.
        TransientError: the disk is full.
    """
    run = context.run(run_id)
    document = compose(read_material(context, run, model_version))
    context.progress.advance(1, _STAGES, "stages")
    write_bytes(run.report_page, render_html(document).encode())
    context.progress.advance(2, _STAGES, "stages")
    write_bytes(run.report_pdf, render_pdf(document))
    context.progress.advance(_STAGES, _STAGES, "stages")
    context.log.info("report_written", page=str(run.report_page), pdf=str(run.report_pdf))
    return TaskResult(
        outputs={
            "model_version": model_version,
            "status": document.status,
            "report": str(run.report_page),
            "pdf": str(run.report_pdf),
        }
    )


def read_material(context: TaskContext, run: RunFolder, model_version: str) -> Material:
    """Everything a report is written from.

    Raises:
        InputError: a file of the run is absent or unreadable, the run is blocked, or the configuration is of other
            pairs.
    """
    settings, identity = context.settings, require_version(run, model_version)
    verdict = read_json(run.verdict)
    _require_judged(verdict, run)
    trades = _frame(run.theta / "bt_trades.parquet")
    _require_pairs(trades, {pair.id for pair in settings.universe.pairs}, run)
    return Material(
        identity=asdict(identity),
        feature_schema_hash=read_record(run).feature_schema_hash,
        verdict=verdict,
        theta=read_json(run.theta / "theta.json"),
        metrics=read_json(run.metrics),
        preprocess=read_json(run.preprocess_report),
        filtered=read_json(run.dataset_index_filtered),
        summary=_frame(run.theta / "bt_summary.parquet"),
        trades=trades,
        equity=_frame(run.theta / "bt_daily_equity.parquet"),
        candidates=_frame(run.candidates, columns=list(CANDIDATE_COLUMNS)),
        predictions=_frame(run.oos_predictions),
        trials=_frame(run.theta / "trials.parquet"),
        surface=_if_there(run.theta / "theta_surface.parquet"),
        stress=_if_there(run.theta / "bt_stress_results.parquet"),
        index=_frame(run.dataset_index),
        certificates=_certificates(run),
        universe=settings.universe,
        cost_table=settings.cost_table,
        policy=settings.backtest_policy,
    )


def _certificates(run: RunFolder) -> tuple[dict[str, Any], ...]:
    there = (path for path in (run.training_certificate, run.theta_certificate) if path.is_file())
    return tuple(read_certificate(path.read_bytes(), str(path)).model_dump(mode="json") for path in there)


def _require_judged(verdict: Mapping[str, Any], run: RunFolder) -> None:
    if verdict.get("status") == "blocked":
        raise InputError(
            "REPORT_RUN_BLOCKED",
            f"the run is blocked, so nothing of it was judged: {'; '.join(verdict['reasons'])}",
            where=str(run.verdict),
            remedy="mend what the reason names and run theta of this run again",
        )


def _require_pairs(trades: pd.DataFrame, known: set[str], run: RunFolder) -> None:
    unknown = sorted(set(trades["pair_id"]) - known)
    if unknown:
        raise InputError(
            "REPORT_INPUT_PAIR",
            f"the run traded {', '.join(unknown)}, which universe.yaml does not have",
            where=str(run.path),
            remedy="give the configuration the run was made with",
        )


def _frame(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    table = read_parquet(path)
    frame: pd.DataFrame = (table if columns is None else table.select(columns)).to_pandas()
    return frame


def _if_there(path: Path) -> pd.DataFrame | None:
    return _frame(path) if path.is_file() else None
