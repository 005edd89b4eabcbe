"""From a table of out-of-sample predictions to the candidates of all pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from core.backtest.candidates import (
    UNTRADABLE,
    Candidates,
    PairMarket,
    Predictions,
    build_candidates,
    pool_candidates,
    untradable_starts,
)
from core.backtest.daily_marks import DailyMarks, daily_marks
from core.backtest.engine import Portfolio
from core.backtest.legs import LegMarket
from core.backtest.trading_hours import within_hours
from core.config.backtest_policy import BacktestPolicy
from core.config.core_policy import CorePolicy
from core.config.cost_table import CostTable
from core.config.universe import Universe
from core.errors import BlockedError, InputError
from core.features.table import FeatureTable
from core.market.bars import epoch_seconds
from core.market.pairs import PairBars
from core.market.universe import calendar_of

COLUMNS: Final = ("pair_id", "ts", "z", "return_prob", "risk_score", "position_scale", "ai2")
"""Columns of oos_predictions.parquet a replay reads."""

_NEEDED: Final = ("z", "return_prob", "risk_score", "position_scale")


@dataclass(frozen=True)
class Market:
    """Bars and features of every pair, and canonical bars of the symbols that convert to USD, by name."""

    universe: Universe
    cost_table: CostTable
    bars: Mapping[str, PairBars]
    tables: Mapping[str, FeatureTable]
    conversion: Mapping[str, pd.DataFrame]


def replay(
    predictions: pd.DataFrame, market: Market, core: CorePolicy, backtest: BacktestPolicy
) -> tuple[Candidates, DailyMarks]:
    """Candidates of all predicted starts, and the daily marks over all bars.

    Args:
        predictions: COLUMNS; `ts` is the decision bar's open (UTC), one row a start.
        market: what candidates are priced with; every predicted start is one of its bars.
        core, backtest: exit rules, staleness of FX, daily mark.

    Raises:
        BlockedError: BACKTEST_PREDICTIONS_EMPTY without a prediction, BACKTEST_PREDICTIONS_MISSING when one is NaN.
        InputError: a column is absent, a pair is unknown, or a start is no bar of its pair.
    """
    _check(predictions, market)
    first = min(int(bars.ts[0]) for bars in market.bars.values())
    last = max(int(bars.ts[-1]) + bars.timeframe_seconds for bars in market.bars.values())
    marks = daily_marks(first, last, backtest.daily_mark)
    parts = [
        build_candidates(
            pair_market(market, pair_id),
            _of_pair(predictions, pair_id),
            marks,
            core.label,
            core.decision,
            stale_seconds=core.signal.stale_threshold_seconds,
        )
        for pair_id in market.bars
    ]
    return pool_candidates(parts), marks


def count_untradable(predictions: pd.DataFrame, market: Market, core: CorePolicy) -> dict[str, int]:
    """How many predicted starts have no candidate, by the first cause of UNTRADABLE that holds; every cause is named.

    Args and errors as of `replay`.
    """
    _check(predictions, market)
    found = dict.fromkeys(UNTRADABLE, 0)
    for pair_id in market.bars:
        causes = untradable_starts(
            pair_market(market, pair_id),
            _of_pair(predictions, pair_id).ts,
            core.label,
            core.decision,
            stale_seconds=core.signal.stale_threshold_seconds,
        )
        for place, name in enumerate(UNTRADABLE):
            found[name] += int(np.count_nonzero(causes == place))
    return found


def pair_market(market: Market, pair_id: str) -> PairMarket:
    """One pair's bars within the trading hours of both legs, its features, and its legs with their terms and FX.

    Raises:
        InputError: a leg's quote currency cannot be converted to USD.
    """
    bars = market.bars[pair_id]
    pair = next(pair for pair in market.universe.pairs if pair.id == pair_id)
    leg_a, leg_b = (
        LegMarket.of(market.universe, market.cost_table, symbol, prices, market.conversion, bars.ts)
        for symbol, prices in ((pair.a, (bars.open_a, bars.close_a)), (pair.b, (bars.open_b, bars.close_b)))
    )
    hours = {
        market.universe.symbols[symbol].calendar: calendar_of(market.universe, symbol) for symbol in (pair.a, pair.b)
    }
    return PairMarket(within_hours(bars, hours.values()), market.tables[pair_id], leg_a, leg_b)


def known_starts(predictions: pd.DataFrame, market: Market) -> pd.DataFrame:
    """The predictions whose start is a bar with features of the market: another model's may reach further back."""
    known = [
        pd.DataFrame({"pair_id": pair_id, "seconds": table.ts[np.isfinite(table.values).all(axis=1)]})
        for pair_id, table in market.tables.items()
    ]
    present = pd.MultiIndex.from_frame(pd.concat(known))
    wanted = pd.MultiIndex.from_arrays([predictions["pair_id"], epoch_seconds(predictions["ts"])])
    return predictions[wanted.isin(present)].reset_index(drop=True)


def portfolio_of(candidates: Candidates, universe: Universe, core: CorePolicy, backtest: BacktestPolicy) -> Portfolio:
    """The portfolio that trades these candidates. Raises InputError when the universe lacks one of their pairs."""
    pairs = {pair.id: pair for pair in universe.pairs}
    unknown = [pair_id for pair_id in candidates.pairs if pair_id not in pairs]
    if unknown:
        raise _unknown_pairs(unknown)
    legs = tuple(
        (universe.symbols[pairs[pair_id].a], universe.symbols[pairs[pair_id].b]) for pair_id in candidates.pairs
    )
    return Portfolio(backtest.capital, core.decision.z_stop, legs)


def _check(predictions: pd.DataFrame, market: Market) -> None:
    absent = [name for name in COLUMNS if name not in predictions.columns]
    if absent:
        raise InputError(
            "BACKTEST_INPUT_COLUMNS",
            f"the predictions have no column {', '.join(absent)}",
            where="oos_predictions.parquet",
            remedy="run train of this run again",
        )
    if predictions.empty:
        raise BlockedError(
            "BACKTEST_PREDICTIONS_EMPTY",
            "there is no out-of-sample prediction to replay",
            where="oos_predictions.parquet",
            remedy="look at the starts and windows train reports; import a longer history",
        )
    missing = [name for name in _NEEDED if not np.isfinite(predictions[name].to_numpy(np.float64)).all()]
    if missing:
        raise BlockedError(
            "BACKTEST_PREDICTIONS_MISSING",
            f"{', '.join(missing)} is missing at some start",
            where="oos_predictions.parquet",
            remedy="run train of this run again",
        )
    unknown = sorted(set(predictions["pair_id"]) - set(market.bars))
    if unknown:
        raise _unknown_pairs(unknown)


def _of_pair(predictions: pd.DataFrame, pair_id: str) -> Predictions:
    own = predictions[predictions["pair_id"] == pair_id].sort_values("ts")
    return Predictions(
        ts=epoch_seconds(own["ts"]),
        z=own["z"].to_numpy(np.float64),
        return_prob=own["return_prob"].to_numpy(np.float64),
        risk_score=own["risk_score"].to_numpy(np.float64),
        scale=own["position_scale"].to_numpy(np.float64),
        risk_event=own["ai2"].to_numpy(np.float64),
    )


def _unknown_pairs(pair_ids: list[str]) -> InputError:
    return InputError(
        "BACKTEST_INPUT_PAIR",
        f"no bars of {', '.join(pair_ids)}",
        where="oos_predictions.parquet, universe.yaml",
        remedy="predictions, bars and universe must come from the same run; run train and backtest again",
    )
