"""backtest: replay every out-of-sample start and trade the starts at the previous θ (SPEC S9, BT-1, BT-2)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from core.backtest.engine import Window, run_backtest
from core.backtest.frames import Run, equity_frame, summary_frame, trades_frame
from core.backtest.replay import Market, count_untradable, portfolio_of, replay
from core.backtest.summary import summarise
from core.config.settings import Settings
from core.config.universe import Pair
from core.features.table import FeatureTable
from core.market.pairs import PairBars
from core.market.timeframe import timeframe_seconds
from core.market.universe import conversion_symbols
from core.models.windows import Windows, plan_windows, usable_opens, weekdays_observed
from core.stores.catalog_index import read_index
from core.stores.feature_cache import load_or_build
from core.stores.market_data import load_pairs, load_symbol
from core.stores.run_folder import RunFolder
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.deployed_replay import replay_deployed
from tasks.gates import Gate, require_gates
from tasks.replay_record import (
    ReplayRecord,
    StartCounts,
    previous_theta,
    provenance_of,
    read_parquet,
    read_schema_hash,
    require_version,
    write_candidates,
    write_frame,
    write_record,
)

app = typer.Typer()

_STAGES = 4


@app.command()
def backtest(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run, as catalog printed it.")],
    model_version: Annotated[str, typer.Option(help="The version the run makes.")],
) -> None:
    """Work out every position an out-of-sample start could become, and trade them at the previous θ.

    Example: python -m tasks --config configs backtest --run-id R --model-version V
    """
    run_task(command, "backtest", lambda context: backtest_run(context, run_id, model_version))


def backtest_run(context: TaskContext, run_id: str, model_version: str) -> TaskResult:
    """The task's body. Writes runs_root/{run_id}/backtest/: candidates.parquet, bt_*.parquet and, last, replay.json.

    Raises:
        InputError: the run is unknown, a file of it is absent, its gate `predictions` has not passed, predictions and
            bars do not belong together.
        BlockedError: predictions are missing, or the history leaves no window.
    """
    settings, run = context.settings, context.run(run_id)
    identity = require_version(run, model_version)
    schema_hash = read_schema_hash(run)
    require_gates(run, Gate.PREDICTIONS)
    market = load_market(context, run)
    context.progress.advance(1, _STAGES, "stages")
    windows = _windows(market, settings)
    predictions = read_parquet(run.oos_predictions).to_pandas()
    core, policy = settings.core_policy, settings.backtest_policy
    candidates, marks = replay(predictions, market, core, policy)
    write_candidates(run, candidates, marks)
    starts = StartCounts(len(predictions), len(candidates), count_untradable(predictions, market, core))
    context.log.info("starts_replayed", **asdict(starts))
    context.progress.advance(2, _STAGES, "stages")

    theta1, theta2 = previous_theta(settings, identity.previous)
    portfolio = portfolio_of(candidates, settings.universe, core, policy)
    window = Window(windows.theta_start, windows.adoption_end)
    result = run_backtest(candidates, marks, portfolio, window, theta1=theta1, theta2=theta2)
    done = Run("previous_theta", theta1, theta2, result, summarise(result, policy.daily_mark.days_per_year))
    stamp = provenance_of(identity, schema_hash)
    write_frame(run.backtest / "bt_summary.parquet", summary_frame([done], stamp))
    write_frame(run.backtest / "bt_trades.parquet", trades_frame(done, candidates, stamp))
    write_frame(run.backtest / "bt_daily_equity.parquet", equity_frame(done, stamp))
    context.progress.advance(3, _STAGES, "stages")

    span, note = replay_deployed(context, run, market, identity.previous, windows, schema_hash=schema_hash)
    record = ReplayRecord(
        theta_start=windows.theta_start,
        adoption_start=windows.adoption_start,
        adoption_end=windows.adoption_end,
        adoption_days=weekdays_observed(
            usable_opens(market.tables.values()), windows.adoption_start, windows.adoption_end
        ),
        n_pairs=len(market.bars),
        n_bars=sum(len(bars) for bars in market.bars.values()),
        feature_schema_hash=schema_hash,
        deployed_from=span[0] if span else None,
        deployed_until=span[1] if span else None,
        deployed_note=note,
        starts=starts,
    )
    write_record(run, record)
    context.progress.advance(_STAGES, _STAGES, "stages")
    return TaskResult(
        outputs={
            "run_dir": str(run.path),
            "theta1": theta1,
            "theta2": theta2,
            **asdict(starts),
        },
        metrics={
            "sharpe": done.summary.sharpe,
            "max_drawdown": done.summary.max_drawdown,
            "trades_per_year": done.summary.trades_per_year,
            "n_trades": float(done.summary.n_trades),
        },
    )


def load_market(context: TaskContext, run: RunFolder) -> Market:
    """Bars, features and conversion prices of the partitions the run's index admits."""
    settings, index = context.settings, read_index(run.dataset_index)
    bars = load_pairs(context.roots, settings, index, None)
    pairs = [pair for pair in settings.universe.pairs if pair.id in bars]
    return Market(
        universe=settings.universe,
        cost_table=settings.cost_table,
        bars=bars,
        tables={pair.id: _features(context, index, pair, bars[pair.id]) for pair in pairs},
        conversion={
            symbol: load_symbol(context.roots, settings, index, symbol)
            for symbol in conversion_symbols(settings.universe, settings.universe.pairs)
        },
    )


def _features(context: TaskContext, index: pd.DataFrame, pair: Pair, bars: PairBars) -> FeatureTable:
    settings = context.settings
    cached = load_or_build(
        context.roots.features,
        settings.core_policy,
        settings.pipeline_policy.timeframe_default,
        pair,
        index,
        bars,
        lambda path, problem: context.log.warning("feature_cache_damaged", path=str(path), problem=problem),
    )
    return cached.table


def _windows(market: Market, settings: Settings) -> Windows:
    complete = [table.ts[np.isfinite(table.values).all(axis=1)] for table in market.tables.values()]
    seconds = timeframe_seconds(settings.pipeline_policy.timeframe_default)
    return plan_windows(np.unique(np.concatenate(complete)), seconds, settings.retrain_policy.walk_forward)
