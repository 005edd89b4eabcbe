"""Rules of the position that need a market around them, each worked out by hand."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.backtest.candidates import PairMarket, pool_candidates
from core.backtest.candidates_table import from_table, to_table
from core.backtest.engine import BacktestResult, Window, run_backtest
from core.backtest.legs import LegMarket
from core.backtest.replay import Market, replay
from core.backtest.summary import summarise
from core.config.cost_table import CostTable
from core.config.settings import Settings
from core.errors import InputError
from core.labels.exits import ExitReason
from tests.unit.backtest.market import (
    CAPITAL,
    HOUR,
    costs,
    marks_of,
    moment,
    pair_market,
    portfolio_of,
    starts_of,
    symbol,
)
from tests.unit.backtest.test_replay import market_of, predictions_of


def trade(market: PairMarket) -> BacktestResult:
    window = Window(int(market.bars.ts[0]), int(market.bars.ts[-1]) + HOUR)
    return run_backtest(starts_of(market), marks_of(market), portfolio_of(market), window, theta1=0.7, theta2=0.3)


def conversion(ts: Any, opens: list[float], closes: list[float]) -> pd.DataFrame:
    stamps = pd.to_datetime(ts, unit="s", utc=True).astype("datetime64[us, UTC]")
    return pd.DataFrame({"ts": stamps, "open": opens, "close": closes})


def test_a_symbol_with_a_row_of_its_own_pays_that_row_and_the_other_the_defaults(settings: Settings) -> None:
    # EURGBP pays 1 bp commission a fill, GBPUSD the defaults' 3 bp. At prices that stand still, per lot:
    # 2 × 1 bp × 0.85 GBP × 100,000 at 1.25 USD = 21.25; 2 × 3 bp × 1.25 × 100,000 = 75.
    table = CostTable(defaults=costs(commission_bp=3.0), overrides={"EURGBP": costs(commission_bp=1.0)})
    made = pair_market([2.5, 1.5, 0.3, 0.2], open_a=0.85, close_a=0.85, open_b=1.25, close_b=1.25)
    gbpusd = conversion(made.bars.ts, [1.25] * 4, [1.25] * 4)
    legs = {
        name: LegMarket.of(settings.universe, table, name, prices, {"GBPUSD": gbpusd}, made.bars.ts)
        for name, prices in (
            ("EURGBP", (made.bars.open_a, made.bars.close_a)),
            ("GBPUSD", (made.bars.open_b, made.bars.close_b)),
        )
    }
    found = starts_of(replace(made, leg_a=legs["EURGBP"], leg_b=legs["GBPUSD"]))
    assert (found.cost_a[0], found.cost_b[0]) == pytest.approx((21.25, 75.0))


def test_pounds_become_dollars_by_the_universes_own_price(settings: Settings) -> None:
    # EURGBP sold at 0.86, bought back at 0.85: 1,000 GBP a lot, at GBPUSD's open of the exit bar 1.27; sized at the
    # decision's close: 0.86 × 100,000 × 1.25.
    made = pair_market([2.5, 1.5, 0.3, 0.2], open_a=[0.86, 0.86, 0.86, 0.85], close_a=0.86)
    gbpusd = conversion(made.bars.ts, [1.24, 1.25, 1.26, 1.27], [1.25, 1.26, 1.27, 1.28])
    table = CostTable(defaults=costs(), overrides={})
    prices = (made.bars.open_a, made.bars.close_a)
    leg = LegMarket.of(settings.universe, table, "EURGBP", prices, {"GBPUSD": gbpusd}, made.bars.ts)
    found = starts_of(replace(made, leg_a=leg))
    assert found.lot_usd_a[0] == pytest.approx(107_500.0)
    assert found.move_a[0] == pytest.approx(1_270.0)


def test_canadian_dollars_divide_by_usdcad_and_keep_its_last_close_where_it_has_no_bar(settings: Settings) -> None:
    # USDCAD itself sold at 1.36, bought back at 1.35: 1,000 CAD a lot. The exit bar has no conversion bar of its own:
    # the last close before it, 1.30, counts.
    made = pair_market([2.5, 1.5, 0.3, 0.2], open_a=[1.36, 1.36, 1.36, 1.35], close_a=1.36)
    usdcad = conversion(made.bars.ts[:3], [1.33, 1.33, 1.33], [1.36, 1.32, 1.30])
    table = CostTable(defaults=costs(), overrides={})
    prices = (made.bars.open_a, made.bars.close_a)
    leg = LegMarket.of(settings.universe, table, "USDCAD", prices, {"USDCAD": usdcad}, made.bars.ts)
    found = starts_of(replace(made, leg_a=leg))
    assert found.lot_usd_a[0] == pytest.approx(100_000.0)
    assert found.move_a[0] == pytest.approx(1_000.0 / 1.30)


def test_without_bars_of_the_conversion_symbol_there_is_no_backtest(settings: Settings) -> None:
    market = replace(market_of(settings), conversion={})
    with pytest.raises(InputError, match="DATA_FX_NO_BARS"):
        replay(predictions_of(market), market, settings.core_policy, settings.backtest_policy)


def test_beta_stays_what_it_was_at_the_decision() -> None:
    # β 0.25 at the decision: 0.8 and 0.2 of 500,000 USD. β of 4 at every bar after it changes nothing.
    market = pair_market([2.5, 1.5, 0.3, 0.2], beta=[0.25, 4.0, 4.0, 4.0])
    found, result = starts_of(market), trade(market)
    assert (found.weight_a[0], found.weight_b[0]) == pytest.approx((-0.8, 0.2))
    # 400,000 / 110,000 = 3.63 and 100,000 / 130,000 = 0.76 lots
    assert (result.lots_a[0], result.lots_b[0]) == pytest.approx((3.63, 0.76))


def test_a_negative_beta_puts_both_legs_on_the_same_side() -> None:
    found = starts_of(pair_market([2.5, 1.5, 0.3, 0.2], beta=-1.0))
    assert (found.weight_a[0], found.weight_b[0]) == pytest.approx((-0.5, -0.5))


def test_over_a_weekend_the_fill_is_the_first_open_however_far_it_gapped() -> None:
    # decided at Friday's last close of 1.1, filled at Sunday's open of 1.2
    stamps = [moment(text) for text in ("2024-03-08T21", "2024-03-10T21", "2024-03-10T22", "2024-03-10T23")]
    market = pair_market([2.5, 1.5, 0.3, 0.2], ts=stamps, open_a=[1.1, 1.2, 1.2, 1.15], close_a=[1.1, 1.2, 1.2, 1.15])
    found = starts_of(market)
    assert found.decided[0] == moment("2024-03-08T22")
    assert found.entry_ts[0] == moment("2024-03-10T21")
    assert (found.entry_price_a[0], found.move_a[0]) == pytest.approx((1.2, 5_000.0))


def test_trades_between_two_marks_are_sized_on_the_same_equity() -> None:
    # the first gains 24,970 USD within the day, the second starts three hours later: both 250,000 / 110,000 = 2.27 lots
    market = pair_market([2.5, 1.5, 0.3, 0.2] * 2, open_a=[1.1, 1.1, 1.1, 0.99, 1.1, 1.1, 1.1, 1.1])
    result = trade(market)
    assert result.lots_a.tolist() == pytest.approx([2.27, 2.27])
    assert result.equity[-1] == pytest.approx(1e6 + 24_970.0)


def test_an_exit_at_the_horizon_is_decided_48_bars_after_the_decision() -> None:
    market = pair_market([2.5] + [1.5] * 60)
    found = starts_of(market)
    assert found.reason[0] == ExitReason.HORIZON
    assert found.exit_decided[0] == market.bars.ts[48] + HOUR
    assert found.exit_ts[0] == market.bars.ts[49]


def test_leverage_is_free_again_once_a_position_is_filled_out() -> None:
    # 0.5 × equity is all there may be: A-B holds it until the open of bar 3, at which C-D's decision falls
    first = pair_market([2.5, 1.5, 0.3, *[0.2] * 5], pair_id="A-B")
    capital = CAPITAL.model_copy(update={"leverage_max": 0.5})
    for start, lots in ((1, 0.0), (2, 2.27)):
        second = pair_market([*[1.0] * start, 2.5, *[1.5] * 3, 0.3, 0.2, 0.1], pair_id="C-D")
        pooled = pool_candidates([starts_of(first), starts_of(second)])
        result = run_backtest(
            pooled,
            marks_of(first),
            portfolio_of(first, second, capital=capital),
            Window(int(first.bars.ts[0]), int(first.bars.ts[-1]) + HOUR),
            theta1=0.7,
            theta2=0.3,
        )
        # what rounding down left of the first is too little for a lot step of the second
        assert result.lots_a.tolist()[1:] == pytest.approx([lots] if lots else [], abs=1e-9)


def test_a_start_without_a_tradable_bar_after_it_is_no_position() -> None:
    # the last bar of the data; and one with nothing but filled bars up to its horizon
    assert len(starts_of(pair_market([1.0, 2.5]))) == 0
    market = pair_market([2.5] + [1.5] * 60, filled=[0] + [1] * 48 + [0] * 12)
    assert len(starts_of(market)) == 0
    assert len(starts_of(pair_market([2.5] + [1.5] * 60, filled=[0] + [1] * 47 + [0] * 13))) == 1


def test_no_position_at_all_is_a_flat_backtest_in_finite_numbers() -> None:
    market = pair_market([1.0, 2.5])
    found = starts_of(market)
    kept, marks = from_table(to_table(found, marks_of(market)), "candidates.parquet")
    window = Window(int(market.bars.ts[0]), int(market.bars.ts[-1]) + HOUR)
    summary = summarise(run_backtest(kept, marks, portfolio_of(market), window, theta1=0.7, theta2=0.3), 260)
    assert (summary.n_trades, summary.sharpe, summary.psr, summary.max_drawdown) == (0, 0.0, 0.0, 0.0)
    assert summary.annual_return == 0.0
    assert summary.final_equity == 1e6


def test_one_trade_at_prices_that_stand_still_loses_its_costs_and_nothing_is_nan() -> None:
    # 2.27 lots of 110,000 and 1.92 lots of 130,000 USD, 1 bp a fill: 99.86 USD over two days
    terms = costs(commission_bp=1.0)
    market = pair_market([2.5, 1.5, 0.3, *[0.2] * 30], terms=(terms, terms))
    summary = summarise(trade(market), 260)
    assert summary.n_trades == 1
    assert summary.final_equity == pytest.approx(1e6 - 99.86)
    assert summary.max_drawdown == pytest.approx(99.86e-6)
    assert all(math.isfinite(value) for value in asdict(summary).values())
    # returns −c and 0: mean over sd (ddof 1) is −1/√2, whatever c is
    assert summary.sharpe == pytest.approx(-math.sqrt(260 / 2))


def test_a_lot_step_that_does_not_fit_both_legs_leaves_no_half_position() -> None:
    coarse = symbol(lot_step=5.0, min_lot=5.0)
    result = trade(pair_market([2.5, 1.5, 0.3, 0.2], symbols=(symbol(), coarse)))
    assert result.taken.size == 0
    assert np.all(result.equity == 1e6)


def test_a_market_from_the_lake_is_traded_in_its_hours_only(settings: Settings) -> None:
    # the same eight bars moved to a Saturday: nothing to trade
    market = market_of(settings)
    bars = market.bars["EURJPY-GBPJPY"]
    days = 5 * 86_400
    table = market.tables["EURJPY-GBPJPY"]
    moved = Market(
        universe=market.universe,
        cost_table=market.cost_table,
        bars={bars.pair_id: replace(bars, ts=bars.ts + days)},
        tables={bars.pair_id: replace(table, ts=table.ts + days)},
        conversion={"USDJPY": market.conversion["USDJPY"].assign(ts=lambda f: f["ts"] + pd.Timedelta(days=5))},
    )
    predictions = predictions_of(moved)
    assert len(replay(predictions_of(market), market, settings.core_policy, settings.backtest_policy)[0]) == 2
    assert len(replay(predictions, moved, settings.core_policy, settings.backtest_policy)[0]) == 0
