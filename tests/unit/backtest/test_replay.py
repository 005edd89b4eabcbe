from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.backtest.engine import Window, run_backtest
from core.backtest.replay import Market, count_untradable, known_starts, portfolio_of, replay
from core.config.settings import Settings
from core.errors import BlockedError, InputError
from tests.unit.backtest.market import HOUR, LABEL, pair_market


def market_of(settings: Settings) -> Market:
    """EURJPY-GBPJPY over eight bars from 10:00, with USDJPY to convert the yen."""
    z = [2.5, 1.5, 0.3, 0.2, -2.5, -1.5, -0.3, -0.2]
    made = pair_market(z, pair_id="EURJPY-GBPJPY", open_a=160.0, close_a=160.0, open_b=190.0, close_b=190.0)
    usdjpy = pd.DataFrame(
        {
            "ts": pd.to_datetime(made.bars.ts, unit="s", utc=True).astype("datetime64[us, UTC]"),
            "open": 150.0,
            "close": 150.0,
        }
    )
    return Market(
        universe=settings.universe,
        cost_table=settings.cost_table,
        bars={made.bars.pair_id: made.bars},
        tables={made.bars.pair_id: made.table},
        conversion={"USDJPY": usdjpy},
    )


def predictions_of(market: Market, **changes: Any) -> pd.DataFrame:
    bars = market.bars["EURJPY-GBPJPY"]
    frame = pd.DataFrame(
        {
            "pair_id": "EURJPY-GBPJPY",
            "ts": pd.to_datetime(bars.ts[[0, 4]], unit="s", utc=True).astype("datetime64[us, UTC]"),
            "z": [2.5, -2.5],
            "return_prob": 0.8,
            "risk_score": 0.1,
            "position_scale": [1.0, 0.5],
            "ai2": [0.0, np.nan],
        }
    )
    return frame.assign(**changes)


def test_predictions_become_trades_in_dollars(settings: Settings) -> None:
    market = market_of(settings)
    core, backtest = settings.core_policy, settings.backtest_policy
    core = core.model_copy(update={"label": LABEL})
    candidates, marks = replay(predictions_of(market), market, core, backtest)
    bars = market.bars["EURJPY-GBPJPY"]
    portfolio = portfolio_of(candidates, settings.universe, core, backtest)
    window = Window(int(bars.ts[0]), int(bars.ts[-1]) + HOUR)
    result = run_backtest(candidates, marks, portfolio, window, theta1=0.7, theta2=0.3)
    assert candidates.lot_usd_a.tolist() == pytest.approx([100_000 * 160 / 150] * 2)
    # β 1: half of 1.0 and of 0.5 × 1,000,000 on each leg
    assert result.lots_a.tolist() == pytest.approx([4.68, 2.34])
    assert candidates.weight_a.tolist() == [-0.5, 0.5]
    assert np.isnan(candidates.risk_event[1])
    assert result.equity[-1] < 1e6  # prices stand still, so only costs are left


def test_each_start_without_a_candidate_is_counted_under_its_cause(settings: Settings) -> None:
    # the starts of bars 0 and 4; each case takes one of them away, the last both
    market = market_of(settings)
    core = settings.core_policy.model_copy(update={"label": LABEL})
    bars, usdjpy = market.bars["EURJPY-GBPJPY"], market.conversion["USDJPY"]
    strict = core.model_copy(update={"signal": core.signal.model_copy(update={"stale_threshold_seconds": 3 * HOUR})})
    late = {"conversion": {"USDJPY": usdjpy.iloc[1:]}}
    old = {"conversion": {"USDJPY": usdjpy.iloc[:1]}}
    ended = {"bars": {bars.pair_id: replace(bars, filled=np.array([0, 1, 1, 1, 0, 1, 1, 1], dtype=np.uint8))}}
    days = 5 * 86_400
    saturday = {
        "bars": {bars.pair_id: replace(bars, ts=bars.ts + days)},
        "tables": {bars.pair_id: replace(market.tables[bars.pair_id], ts=bars.ts + days)},
        "conversion": {"USDJPY": usdjpy.assign(ts=lambda frame: frame["ts"] + pd.Timedelta(days=5))},
    }
    for change, counted in (
        ({}, {}),
        (late, {"conversion_missing": 1}),
        (old, {"conversion_stale": 1}),
        (ended, {"no_tradable_bar": 1}),
        (saturday, {"outside_hours": 2}),
    ):
        changed = replace(market, **change)
        predictions = predictions_of(changed)
        found = count_untradable(predictions, changed, strict)
        none = dict.fromkeys(("outside_hours", "conversion_missing", "conversion_stale", "no_tradable_bar"), 0)
        assert found == {**none, **counted}
        candidates, _ = replay(predictions, changed, strict, settings.backtest_policy)
        assert len(candidates) + sum(found.values()) == len(predictions)


@pytest.mark.parametrize("column", ["z", "return_prob", "risk_score", "position_scale"])
def test_a_missing_prediction_blocks(settings: Settings, column: str) -> None:
    market = market_of(settings)
    broken = predictions_of(market, **{column: [0.5, np.nan]})
    with pytest.raises(BlockedError, match=column):
        replay(broken, market, settings.core_policy, settings.backtest_policy)


def test_no_prediction_blocks(settings: Settings) -> None:
    market = market_of(settings)
    with pytest.raises(BlockedError, match="BACKTEST_PREDICTIONS_EMPTY"):
        replay(predictions_of(market).iloc[:0], market, settings.core_policy, settings.backtest_policy)


def test_predictions_of_something_else_are_input_errors(settings: Settings) -> None:
    market = market_of(settings)
    policies = settings.core_policy, settings.backtest_policy
    with pytest.raises(InputError, match="BACKTEST_INPUT_COLUMNS"):
        replay(predictions_of(market).drop(columns="ai2"), market, *policies)
    with pytest.raises(InputError, match="BACKTEST_INPUT_PAIR"):
        replay(predictions_of(market, pair_id="X-Y"), market, *policies)
    late = predictions_of(market)
    late["ts"] += pd.Timedelta(days=30)
    with pytest.raises(InputError, match="BACKTEST_INPUT_BAR"):
        replay(late, market, *policies)


def test_only_starts_with_bars_and_features_are_known(settings: Settings) -> None:
    market = market_of(settings)
    predictions = predictions_of(market)
    earlier = predictions.assign(ts=predictions["ts"] - pd.Timedelta(days=30))
    both = pd.concat([earlier, predictions], ignore_index=True)
    assert known_starts(both, market).equals(predictions)
    table = market.tables["EURJPY-GBPJPY"]
    values = table.values.copy()
    values[0, 3] = np.nan
    cut = replace(market, tables={"EURJPY-GBPJPY": replace(table, values=values)})
    assert known_starts(both, cut)["ts"].tolist() == predictions["ts"].tolist()[1:]
