"""The true net Sharpe of a strategy on a simulated market: its mean over histories that nothing was learned on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.backtest.engine import Window
from core.backtest.replay import Market, replay
from core.backtest.summary import Summary
from core.config.settings import Settings
from core.config.sources import Simulator
from core.features.batch import build_features
from core.features.schema import FeatureSchema
from core.market.alignment import align_pair
from core.market.simulator.market import simulate
from core.market.timeframe import timeframe_seconds
from core.market.universe import conversion_symbols
from core.models.artifact import load_classifier, load_quantile
from core.models.fitting import FittedModels
from core.models.pooling import pool_pairs
from core.models.predictor import Predictor
from core.quality.cleaning import clean_bars
from core.signals.sizing import position_scale
from core.stores.run_folder import RunFolder
from tasks.book import Book


@dataclass(frozen=True)
class Strategy:
    """Models and the θ they are traded at; without models every start is entered at full scale."""

    models: Predictor | None
    theta1: float
    theta2: float

    @classmethod
    def of_run(cls, run: RunFolder, settings: Settings, theta1: float, theta2: float) -> Strategy:
        """The models a run fitted on all its bars."""
        schema = FeatureSchema.from_json((run.model / "feature_schema.json").read_bytes())
        ai1, ai2 = (load_classifier((run.model / f"model_{name}.pkl").read_bytes()) for name in ("ai1", "ai2"))
        ai3 = load_quantile((run.model / "model_ai3.pkl").read_bytes())
        models = FittedModels(ai1=ai1, ai2=ai2, ai3=ai3, scalers=schema.scalers)
        return cls(Predictor(models, tuple(settings.core_policy.model_inputs)), theta1, theta2)


EVERY_START = Strategy(None, 0.0, 1.0)


@dataclass(frozen=True)
class Measured:
    """Net Sharpe over independent histories of the same market, its standard error, and trades a year."""

    histories: int
    sharpe: float
    standard_error: float
    trades_per_year: float


def measure(
    settings: Settings, strategies: Sequence[Strategy], seeds: Sequence[int], on_history: Callable[[int, int], None]
) -> list[Measured]:
    """Trade the market of `settings` at each of these seeds, all of its months, and average; one Measured a strategy.

    The settings' own seed must not be among `seeds` where a strategy was learned on it. `on_history` is called with
    (histories done, histories in all).
    """
    found: list[list[Summary]] = [[] for _ in strategies]
    for done, seed in enumerate(seeds, start=1):
        market = _market(settings, seed)
        for summaries, strategy in zip(found, strategies, strict=True):
            book = _book(settings, strategy, market)
            summaries.append(book.trade("history", _all(book)).summary)
        on_history(done, len(seeds))
    return [_mean(summaries) for summaries in found]


def _mean(summaries: Sequence[Summary]) -> Measured:
    sharpes = np.array([summary.sharpe for summary in summaries])
    error = float(sharpes.std(ddof=1) / np.sqrt(len(sharpes))) if len(sharpes) > 1 else float("inf")
    trades = float(np.mean([summary.trades_per_year for summary in summaries]))
    return Measured(len(sharpes), float(sharpes.mean()), error, trades)


def _all(book: Book) -> Window:
    marks = book.marks
    return Window(int(marks.ts[0]), int(marks.ts[-1]) - 1)


def _book(settings: Settings, strategy: Strategy, market: Market) -> Book:
    core = settings.core_policy
    pool = pool_pairs(market.bars, market.tables, core, settings.retrain_policy.cross_validation)
    samples = pool.samples
    count = len(samples)
    probability, risk, excursion = np.ones(count), np.zeros(count), np.zeros(count)
    if strategy.models is not None:
        probability, risk, excursion = strategy.models.predict(samples.rows, samples.z)
    opens = samples.ts.astype("datetime64[s]").astype("datetime64[us]")
    starts = pd.DataFrame(
        {
            "pair_id": np.array(pool.pair_ids, dtype=object)[samples.pair],
            "ts": pd.to_datetime(opens, utc=True),
            "z": samples.z,
            "return_prob": probability,
            "risk_score": risk,
            "position_scale": position_scale(excursion, core.position_scale),
            "ai2": samples.ai2,
        }
    )
    candidates, marks = replay(starts, market, core, settings.backtest_policy)
    return Book(settings, candidates, marks, strategy.theta1, strategy.theta2)


def _market(settings: Settings, seed: int) -> Market:
    universe, thresholds = settings.universe, settings.pipeline_policy.dq_thresholds
    seconds = timeframe_seconds(settings.pipeline_policy.timeframe_default)
    simulator = next(each for each in settings.sources.providers if isinstance(each, Simulator))
    bars = {}
    for symbol, raw in simulate(simulator.model_copy(update={"seed": seed}), universe, seconds).items():
        calendar = universe.calendars[universe.symbols[symbol].calendar]
        cleaned = clean_bars(raw, calendar, seconds, thresholds).bars
        bars[symbol] = cleaned.assign(segment=np.zeros(len(cleaned), dtype=np.int64))
    pairs = {pair.id: align_pair(pair.id, seconds, bars[pair.a], bars[pair.b]) for pair in universe.pairs}
    windows = settings.core_policy.feature_windows
    conversion = {symbol: bars[symbol] for symbol in conversion_symbols(universe, universe.pairs)}
    tables = {pair_id: build_features(pair, windows) for pair_id, pair in pairs.items()}
    return Market(universe, settings.cost_table, pairs, tables, conversion)
