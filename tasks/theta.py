"""theta: search θ, backtest once at the chosen θ, and give the verdict (SPEC S9, TH-1 … TH-3, BT-4)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

import pandas as pd
import typer

from core.backtest.adoption import Comparison, NotCompared, judge
from core.backtest.candidates import Candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.engine import Window, run_backtest
from core.backtest.frames import Provenance, Run, equity_frame, summary_frame, trades_frame
from core.backtest.replay import portfolio_of
from core.backtest.summary import summarise
from core.config.settings import Settings
from core.stores.files import write_json
from core.stores.run_folder import PreviousModel, RunFolder, RunIdentity
from core.thresholds.gain import GainInterval, gain_interval
from core.thresholds.objective import SearchData, count_starts
from core.thresholds.search import SearchOutcome, search, trials_frame
from core.thresholds.stabiliser import ChosenTheta, choose_theta
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.replay_record import (
    ReplayRecord,
    previous_theta,
    provenance_of,
    read_candidates,
    read_deployed,
    read_record,
    require_version,
    write_frame,
)

app = typer.Typer()

_JUDGED: Final = ("sharpe", "max_drawdown", "trades_per_year", "annual_return", "n_trades")


@app.command()
def theta(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run, as catalog printed it.")],
    model_version: Annotated[str, typer.Option(help="The version the run makes.")],
) -> None:
    """Search θ before the adoption window, backtest once on it at the chosen θ, and judge.

    Example: python -m tasks --config configs theta --run-id R --model-version V
    """
    run_task(command, "theta", lambda context: theta_run(context, run_id, model_version))


def theta_run(context: TaskContext, run_id: str, model_version: str) -> TaskResult:
    """The task's body.

    Writes runs_root/{run_id}/theta/: trials.parquet, theta.json, bt_*.parquet and, last, verdict.json.

    Raises:
        InputError: the run is unknown or its backtest has not finished.
        BlockedError: a number the verdict needs is missing.
    """
    settings, run = context.settings, context.run(run_id)
    identity, record = require_version(run, model_version), read_record(run)
    candidates, marks = read_candidates(run)
    data = SearchData(
        candidates=candidates,
        marks=marks,
        portfolio=portfolio_of(candidates, settings.universe, settings.core_policy, settings.backtest_policy),
        window=Window(record.theta_start, record.adoption_start - 1),
        days_per_year=settings.backtest_policy.daily_mark.days_per_year,
    )
    outcome, interval, chosen = _find_theta(context, data, identity)
    write_frame(run.theta / "trials.parquet", trials_frame(outcome))
    write_json(run.theta / "theta.json", _theta_content(identity, outcome, interval, chosen, count_starts(data)))

    book = Book(settings, candidates, marks, chosen.theta1, chosen.theta2)
    adoption = book.trade("adoption", Window(record.adoption_start, record.adoption_end))
    everything = book.trade("all_out_of_sample", Window(record.theta_start, record.adoption_end))
    stamp = provenance_of(identity, record.feature_schema_hash)
    _write_tables(run, [adoption, everything, book.trade("theta_search", data.window)], candidates, stamp)
    comparison = _compare(book, run, identity.previous, record)
    limits = settings.backtest_policy.adoption
    verdict = judge(adoption.summary, everything.summary.psr, comparison, limits, everything.summary.n_days)
    content = {
        "model_version": identity.model_version,
        "status": verdict.status,
        "reasons": list(verdict.reasons),
        "theta1": chosen.theta1,
        "theta2": chosen.theta2,
        "theta_status": chosen.status,
        "theta_reason": chosen.reason,
        **{name: getattr(adoption.summary, name) for name in _JUDGED},
        "psr": everything.summary.psr,
        "n_pairs": record.n_pairs,
        "n_bars": record.n_bars,
        "limits": limits.model_dump(),
        "window": {"start": _iso(record.adoption_start), "end": _iso(record.adoption_end)},
        "all_out_of_sample": asdict(everything.summary),
        "previous": asdict(identity.previous) if identity.previous else None,
        "comparison": asdict(comparison),
    }
    write_json(run.verdict, content)
    context.log.info("verdict", status=verdict.status, reasons=list(verdict.reasons))
    told = ("model_version", "status", "reasons", "theta1", "theta2", "n_pairs", "n_bars")
    return TaskResult(
        outputs={"run_dir": str(run.path), **{name: content[name] for name in told}},
        metrics={
            **{name: content[name] for name in ("sharpe", "max_drawdown", "trades_per_year", "psr")},
            "theta_trials": float(len(outcome.trials)),
            "theta_best_score": max(trial.evaluation.value for trial in outcome.trials),
        },
    )


@dataclass(frozen=True)
class Book:
    """Candidates traded at one θ on the policy's capital."""

    settings: Settings
    candidates: Candidates
    marks: DailyMarks
    theta1: float
    theta2: float

    def trade(self, scope: str, window: Window) -> Run:
        """The backtest of a window and its numbers."""
        core, policy = self.settings.core_policy, self.settings.backtest_policy
        portfolio = portfolio_of(self.candidates, self.settings.universe, core, policy)
        result = run_backtest(self.candidates, self.marks, portfolio, window, theta1=self.theta1, theta2=self.theta2)
        summary = summarise(result, policy.daily_mark.days_per_year)
        return Run(scope, self.theta1, self.theta2, result, summary)


def _find_theta(
    context: TaskContext, data: SearchData, identity: RunIdentity
) -> tuple[SearchOutcome, GainInterval | None, ChosenTheta]:
    core = context.settings.core_policy
    previous = previous_theta(context.settings, identity.previous)
    outcome = search(
        data,
        core.theta_objective,
        core.theta_search_range,
        core.theta_search,
        previous=previous,
        seed=identity.seed,
        on_trial=lambda done, most: context.progress.advance(done, most, "trials"),
    )
    best = outcome.best
    interval = None
    if best is not None:
        interval = gain_interval(outcome, core.theta_objective, core.theta_search, data.window.years, identity.seed)
    chosen = choose_theta(
        previous,
        (best.theta1, best.theta2) if best is not None else None,
        interval,
        deployed=identity.previous is not None,
        n_starts=count_starts(data),
        policy=core.theta_search,
        ranges=core.theta_search_range,
    )
    context.log.info("theta_chosen", **asdict(chosen))
    return outcome, interval, chosen


def _compare(
    book: Book, run: RunFolder, previous: PreviousModel | None, record: ReplayRecord
) -> Comparison | NotCompared:
    """Both models over the span both have predicted out of sample, each at its own θ."""
    if previous is None or record.deployed_from is None or record.deployed_until is None:
        return NotCompared(record.deployed_note)
    window = Window(record.deployed_from, record.deployed_until)
    deployed = Book(book.settings, *read_deployed(run), previous.theta1, previous.theta2)
    return Comparison(
        deployed_version=previous.model_version,
        deployed=deployed.trade("deployed", window).summary,
        challenger=book.trade("compared", window).summary,
        span=f"{_day(window.start)} to {_day(window.end)}",
    )


def _theta_content(
    identity: RunIdentity,
    outcome: SearchOutcome,
    interval: GainInterval | None,
    chosen: ChosenTheta,
    n_starts: int,
) -> dict[str, Any]:
    best, previous = outcome.best, outcome.previous
    return {
        "model_version": identity.model_version,
        **asdict(chosen),
        "previous": {"theta1": previous.theta1, "theta2": previous.theta2, "value": previous.value},
        "found": {"theta1": best.theta1, "theta2": best.theta2, "value": best.value} if best else None,
        "gain": asdict(interval) if interval else None,
        "n_starts": n_starts,
        "n_trials": len(outcome.trials),
        "candidates": [
            {
                name: getattr(outcome.trials[index].evaluation, name)
                for name in ("theta1", "theta2", "value", "annual_return", "max_drawdown", "trades_per_year", "sharpe")
            }
            for index in outcome.candidates
        ],
    }


def _write_tables(run: RunFolder, runs: list[Run], candidates: Candidates, stamp: Provenance) -> None:
    """bt_summary of every window; trades and equity of the adoption window and of all out-of-sample months."""
    kept = [each for each in runs if each.scope != "theta_search"]
    write_frame(run.theta / "bt_summary.parquet", summary_frame(runs, stamp))
    trades = pd.concat([trades_frame(each, candidates, stamp) for each in kept], ignore_index=True)
    write_frame(run.theta / "bt_trades.parquet", trades)
    equity = pd.concat([equity_frame(each, stamp) for each in kept], ignore_index=True)
    write_frame(run.theta / "bt_daily_equity.parquet", equity)


def _iso(seconds: int) -> str:
    return pd.Timestamp(seconds, unit="s", tz="UTC").isoformat()


def _day(seconds: int) -> str:
    return f"{pd.Timestamp(seconds, unit='s', tz='UTC'):%Y-%m-%d}"
