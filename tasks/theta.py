"""theta: search θ, backtest once at the chosen θ, and give the verdict (SPEC S9, TH-1 … TH-3, BT-4)."""

from __future__ import annotations

from typing import Annotated, Final

import pandas as pd
import typer

from core.backtest.candidates import Candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.engine import Window
from core.backtest.frames import Provenance, Run, equity_frame, summary_frame, trades_frame
from core.backtest.replay import portfolio_of
from core.backtest.stress.frame import stress_content, stress_frame
from core.stores.files import write_json
from core.stores.run_folder import RunFolder
from core.thresholds.objective import SearchData
from core.thresholds.search import trials_frame
from core.thresholds.surface import theta_surface
from tasks.app import run_task
from tasks.book import Book
from tasks.context import TaskContext, TaskResult
from tasks.earlier_verdicts import earlier_verdicts
from tasks.evidence import gather_evidence, require_observed, stating_blocked
from tasks.leakage import certify_theta
from tasks.replay_record import (
    ReplayRecord,
    provenance_of,
    read_candidates,
    read_record,
    require_version,
    write_frame,
)
from tasks.shard import Shard, ShardOption
from tasks.stress import stress_book
from tasks.theta_search import find_theta, search_theta, theta_content
from tasks.verdict import verdict_content

app = typer.Typer()

_SEARCHED: Final = ("previous", "found", "gain", "n_starts", "n_trials")
"""What verdict.json, and with it the registry, repeats of theta.json; without a θ within limits nothing is found."""


@app.command()
def theta(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run, as catalog printed it.")],
    model_version: Annotated[str, typer.Option(help="The version the run makes.")],
    shard: ShardOption = None,
) -> None:
    """Search θ before the adoption window, backtest once on it at the chosen θ, and judge.

    Example: python -m tasks --config configs theta --run-id R --model-version V
    """
    if shard is not None:
        run_task(command, "theta", lambda context: search_shard(context, run_id, model_version, shard), shard)
    else:
        run_task(command, "theta", lambda context: theta_run(context, run_id, model_version))


def search_shard(context: TaskContext, run_id: str, model_version: str, shard: Shard) -> TaskResult:
    """Search θ with whoever else does, and keep no more than the trials.

    Which trials are whose is not settled beforehand: each is valued by the first who is free.

    Raises:
        InputError: the run is unknown or its backtest has not finished.
        TransientError: PostgreSQL, which keeps the trials, does not answer.
    """
    run = context.run(run_id)
    identity = require_version(run, model_version)
    data = _search_data(context, read_record(run), *read_candidates(run))
    outcome = search_theta(context, data, identity)
    return TaskResult(outputs={"shard": str(shard), "trials": len(outcome.trials)})


def theta_run(context: TaskContext, run_id: str, model_version: str) -> TaskResult:
    """The task's body.

    Writes runs_root/{run_id}/theta/: leak_certificate.json, trials.parquet, theta_surface.parquet, theta.json,
    bt_*.parquet and, last, verdict.json.

    Raises:
        InputError: the run is unknown or its backtest has not finished.
        BlockedError: something the verdict needs is missing; verdict.json then says `blocked` and why.
        QualityError: the search saw something of the adoption window; no θ is chosen.
        TransientError: PostgreSQL, which keeps the trials, does not answer.
    """
    settings, run = context.settings, context.run(run_id)
    identity, record = require_version(run, model_version), read_record(run)
    candidates, marks = read_candidates(run)
    data = _search_data(context, record, candidates, marks)
    found = find_theta(context, data, identity)
    certify_theta(run, identity, settings, data, found.outcome, record.adoption_start)
    chosen = found.chosen
    write_frame(run.theta / "trials.parquet", trials_frame(found.outcome))
    surface = theta_surface(
        data,
        settings.core_policy.theta_objective,
        settings.core_policy.theta_search_range,
        points=settings.core_policy.theta_search.surface_points,
        workers=settings.retrain_policy.workers,
    )
    write_frame(run.theta / "theta_surface.parquet", surface)
    searched_theta = theta_content(identity, data, found)
    write_json(run.theta / "theta.json", searched_theta)

    book = Book(settings, candidates, marks, chosen.theta1, chosen.theta2)
    adoption = book.trade("adoption", Window(record.adoption_start, record.adoption_end))
    everything = book.trade("all_out_of_sample", Window(record.theta_start, record.adoption_end))
    stamp = provenance_of(identity, record.feature_schema_hash)
    searched = book.trade("theta_search", data.window)
    _write_tables(run, [adoption, everything, searched], candidates, stamp)
    with stating_blocked(run, model_version):
        require_observed(record, settings)
        earlier = earlier_verdicts(context, run, model_version, record)
        evidence = gather_evidence(found, searched, adoption, earlier, settings)
        content = verdict_content(book, run, identity, record, chosen, adoption, everything, evidence, earlier)
        stress = stress_book(context, run, book, adoption.result.window, identity.seed)
        write_frame(run.theta / "bt_stress_results.parquet", stress_frame(stress, chosen.theta1, chosen.theta2, stamp))
        content["stress"] = stress_content(stress)
        content["theta_search"] = {name: searched_theta[name] for name in _SEARCHED if searched_theta[name] is not None}
    write_json(run.verdict, content)
    context.log.info("verdict", status=content["status"], reasons=content["reasons"])
    told = ("model_version", "status", "retrain_status", "reasons", "theta1", "theta2", "n_pairs", "n_bars")
    return TaskResult(
        outputs={"run_dir": str(run.path), **{name: content[name] for name in told}},
        metrics={
            **{name: content[name] for name in ("sharpe", "max_drawdown", "trades_per_year", "psr", "dsr", "pbo")},
            "theta_trials": float(len(found.outcome.trials)),
            "theta_best_score": max(trial.evaluation.value for trial in found.outcome.trials),
        },
    )


def _search_data(context: TaskContext, record: ReplayRecord, candidates: Candidates, marks: DailyMarks) -> SearchData:
    """What θ is searched on: the months before the adoption window."""
    settings = context.settings
    return SearchData(
        candidates=candidates,
        marks=marks,
        portfolio=portfolio_of(candidates, settings.universe, settings.core_policy, settings.backtest_policy),
        window=Window(record.theta_start, record.adoption_start - 1),
        days_per_year=settings.backtest_policy.daily_mark.days_per_year,
    )


def _write_tables(run: RunFolder, runs: list[Run], candidates: Candidates, stamp: Provenance) -> None:
    """bt_summary of every window; trades and equity of the adoption window and of all out-of-sample months."""
    kept = [each for each in runs if each.scope != "theta_search"]
    write_frame(run.theta / "bt_summary.parquet", summary_frame(runs, stamp))
    trades = pd.concat([trades_frame(each, candidates, stamp) for each in kept], ignore_index=True)
    write_frame(run.theta / "bt_trades.parquet", trades)
    equity = pd.concat([equity_frame(each, stamp) for each in kept], ignore_index=True)
    write_frame(run.theta / "bt_daily_equity.parquet", equity)
