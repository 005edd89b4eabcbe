"""Money worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.backtest.candidates import PairMarket, pool_candidates
from core.backtest.engine import BacktestResult, Window, run_backtest
from core.config.backtest_policy import Capital
from core.config.core_policy import Decision
from core.labels.exits import ExitReason
from tests.unit.backtest.market import (
    CAPITAL,
    DECISION,
    HOUR,
    costs,
    marks_of,
    moment,
    pair_market,
    portfolio_of,
    starts_of,
    symbol,
)


def trade(market: PairMarket, *, scale: float = 1.0, capital: Capital = CAPITAL) -> tuple[BacktestResult, list[float]]:
    """The backtest of every start and the net USD of each trade."""
    candidates = starts_of(market, scale=scale)
    window = Window(int(market.bars.ts[0]), int(market.bars.ts[-1]) + HOUR)
    portfolio = portfolio_of(market, capital=capital)
    result = run_backtest(candidates, marks_of(market), portfolio, window, theta1=0.7, theta2=0.3)
    net_a = candidates.move_a - candidates.cost_a - candidates.swap_a
    net_b = candidates.move_b - candidates.cost_b - candidates.swap_b
    return result, list(result.lots_a * net_a[result.taken] + result.lots_b * net_b[result.taken])


def test_one_trade_to_the_cent() -> None:
    # z = +2.5 with β = 1: sell A, buy B, half of 0.8 × 0.5 × 1,000,000 = 400,000 USD each.
    # Lots: 200,000 / 110,000 = 1.818 -> 1.81 and 200,000 / 130,000 = 1.538 -> 1.53.
    # Fills give half of 2 bp and round to the tick against us: A sold at 1.10010 − 1 bp -> 1.09998, bought back at
    # 1.09900 + 1 bp -> 1.09911; B bought at 1.29990 + 1 bp -> 1.30003, sold at 1.30100 − 1 bp -> 1.30086.
    # 181,000 × 0.00087 = 157.47; 153,000 × 0.00083 = 126.99; commission 0.5 bp of 199,096.38, 198,938.91, 198,904.59
    # and 199,031.58 = 39.80. Net 284.46 − 39.80 = 244.66.
    terms = costs(spread_bp=2.0, commission_bp=0.5)
    market = pair_market(
        [2.5, 1.5, 0.3, 0.2],
        open_a=[1.1, 1.1001, 1.1, 1.0990],
        open_b=[1.3, 1.2999, 1.3, 1.3010],
        terms=(terms, terms),
    )
    result, net = trade(market, scale=0.8)
    assert result.lots_a.tolist() == [pytest.approx(1.81)]
    assert result.lots_b.tolist() == [pytest.approx(1.53)]
    assert round(net[0], 2) == 244.66
    assert round(result.equity[-1], 2) == 1_000_244.66
    candidates = starts_of(market)
    assert [candidates.entry_price_a[0], candidates.exit_price_a[0]] == pytest.approx([1.09998, 1.09911])
    assert [candidates.entry_price_b[0], candidates.exit_price_b[0]] == pytest.approx([1.30003, 1.30086])


def test_slippage_counts_by_the_utc_hour_of_the_fill() -> None:
    # the entry fills at 11:00 with factor 3, the exit at 13:00 with factor 1: 1.1 × (3 + 1) bp × 100,000 = 44 USD a lot
    factors = tuple(3.0 if hour == 11 else 1.0 for hour in range(24))
    market = pair_market([2.5, 1.5, 0.3, 0.2], terms=(costs(slippage_bp=1.0, slippage_hour_factors=factors), costs()))
    assert starts_of(market).cost_a[0] == pytest.approx(44.0)


def test_swap_is_charged_a_night_and_three_on_the_triple_day() -> None:
    # Entered Tuesday 11:00 UTC, out Thursday 13:00: the nights of Tuesday (1) and Wednesday (3) at 17:00 New York.
    # A is sold at 0.2 bp, B bought at 0.3 bp: 4 × 0.2 bp × 110,000 = 8.80 and 4 × 0.3 bp × 130,000 = 15.60 a lot.
    n = 52
    z = [2.5] + [1.5] * (n - 3) + [0.3, 0.2]
    terms = costs(swap_long_bp_per_night=-0.3, swap_short_bp_per_night=-0.2)
    market = pair_market(z, start="2024-03-05T10", terms=(terms, terms))
    candidates = starts_of(market, decision=DECISION)
    assert candidates.reason[0] == ExitReason.HORIZON
    assert candidates.exit_ts[0] == moment("2024-03-07T11")
    assert candidates.swap_a[0] == pytest.approx(8.80)
    assert candidates.swap_b[0] == pytest.approx(15.60)
    # at Tuesday's mark one night is off the books, at Wednesday's all four
    assert candidates.mark_a.tolist() == pytest.approx([-2.20, -8.80])


def test_swap_may_earn() -> None:
    market = pair_market(
        [2.5] + [1.5] * 14 + [0.3, 0.2],
        start="2024-03-04T10",
        terms=(costs(), costs(swap_long_bp_per_night=0.3)),
    )
    assert starts_of(market).swap_b[0] == pytest.approx(-3.90)


@pytest.mark.parametrize(
    ("start", "nights"),
    [
        ("2024-03-04T20", 1),  # entered 21:00, held at 22:00 UTC = 17:00 New York before the clocks change
        ("2024-03-04T21", 0),  # entered at 22:00 itself: after that day's roll
        ("2024-03-11T19", 1),  # after the change 17:00 New York is 21:00 UTC
        ("2024-03-11T20", 0),
    ],
)
def test_a_night_counts_when_held_at_new_york_close(start: str, nights: int) -> None:
    terms = costs(swap_short_bp_per_night=-1.0)
    market = pair_market([2.5, 1.0, 0.3, 0.2], start=start, terms=(terms, costs()))
    assert starts_of(market).swap_a[0] == pytest.approx(nights * 11.0)


def test_profit_in_yen_becomes_dollars_at_the_exit_bar() -> None:
    # B is bought at 150.00 and sold at 151.50 JPY; a yen is worth 1/150 USD at entry, 1/152 at the exit's open.
    # Sized at the decision's close: 250,000 USD / (100,000 × 150 / 150) = 2.50 lots; 250,000 × 1.5 JPY / 152 = 2467.11.
    market = pair_market(
        [2.5, 1.5, 0.3, 0.2],
        open_b=[150.0, 150.0, 151.0, 151.5],
        close_b=[150.0, 150.5, 151.5, 151.5],
        usd_open_b=[1 / 150, 1 / 150, 1 / 151, 1 / 152],
        usd_close_b=[1 / 150, 1 / 150, 1 / 151, 1 / 153],
        symbols=(symbol(), symbol(quote="JPY", tick_size=0.001)),
    )
    result, net = trade(market)
    assert result.lots_b.tolist() == [pytest.approx(2.5)]
    assert round(net[0], 2) == 2467.11


def test_costs_convert_at_the_bar_of_their_own_fill() -> None:
    terms = costs(commission_bp=1.0)
    market = pair_market(
        [2.5, 1.5, 0.3, 0.2],
        open_b=150.0,
        close_b=150.0,
        usd_open_b=[1 / 150, 1 / 150, 1 / 150, 1 / 100],
        symbols=(symbol(), symbol(quote="JPY", tick_size=0.001)),
        terms=(costs(), terms),
    )
    # 1 bp of 15,000,000 JPY is 1,500 JPY: 10 USD at the entry, 15 USD at the exit
    assert starts_of(market).cost_b[0] == pytest.approx(25.0)


def test_a_leg_below_its_least_size_skips_the_position() -> None:
    small = CAPITAL.model_copy(update={"initial_usd": 2_000.0})
    z = [2.5, 1.5, 0.3, 0.2]
    assert trade(pair_market(z), capital=small)[0].taken.size == 0
    # 500 USD a leg buys 0.45 micro lots of 1,000 USD: lots of 0.001 fit, unless the least notional forbids it
    fine = symbol(lot_step=0.001, min_lot=0.001, min_notional_usd=1.0)
    assert trade(pair_market(z, symbols=(fine, fine)), capital=small)[0].lots_a.tolist() == [pytest.approx(0.004)]
    strict = symbol(lot_step=0.001, min_lot=0.001, min_notional_usd=1_000.0)
    assert trade(pair_market(z, symbols=(fine, strict)), capital=small)[0].taken.size == 0


def test_a_gap_through_the_stop_fills_at_the_next_open() -> None:
    # z jumps to 5 at the close of bar 2; the position leaves at the open of bar 3, far beyond the loss limit.
    market = pair_market(
        [2.5, 2.6, 5.0, 5.0],
        open_a=[1.1, 1.1, 1.1, 1.21],
        close_a=[1.1, 1.1, 1.12, 1.21],
    )
    candidates = starts_of(market)
    assert candidates.reason[0] == ExitReason.Z_STOP
    assert candidates.exit_price_a[0] == pytest.approx(1.21)
    assert candidates.move_a[0] == pytest.approx(-11_000.0)


def test_the_loss_limit_is_marked_at_closes_and_fills_at_the_next_open() -> None:
    # A sold at 1.10 closes 8 % higher: the position loses 4 % of gross, more than 3 %
    market = pair_market([2.5, 2.6, 2.6, 2.6], open_a=[1.1, 1.1, 1.18, 1.18], close_a=[1.1, 1.188, 1.18, 1.18])
    candidates = starts_of(market, decision=Decision(z_stop=4.0, loss_limit=0.03))
    assert candidates.reason[0] == ExitReason.LOSS_LIMIT
    assert candidates.exit_ts[0] == market.bars.ts[2]


def test_fills_wait_for_a_bar_that_traded() -> None:
    market = pair_market(
        [2.5, 2.4, 1.5, 0.3, 0.2, 0.1],
        open_a=[1.1, 9.0, 1.2, 1.2, 9.0, 1.3],
        filled=[0, 1, 0, 0, 1, 0],
    )
    candidates = starts_of(market)
    assert [candidates.entry_ts[0], candidates.exit_ts[0]] == [market.bars.ts[2], market.bars.ts[5]]
    assert candidates.entry_price_a[0] == pytest.approx(1.2)
    assert candidates.exit_price_a[0] == pytest.approx(1.3)


def test_a_position_the_data_cuts_off_is_closed_at_the_last_close() -> None:
    market = pair_market([2.5, 1.5, 1.4], close_a=[1.1, 1.1, 1.05])
    candidates = starts_of(market)
    assert candidates.reason[0] == ExitReason.CUT_OFF
    assert candidates.exit_ts[0] == market.bars.ts[2] + HOUR
    assert candidates.exit_price_a[0] == pytest.approx(1.05)


def test_a_position_never_crosses_into_the_next_segment() -> None:
    # bar 2 is filled and the last of its segment: the position leaves at the close of bar 1, at 1.08
    market = pair_market(
        [2.5, 1.5, 1.4, 0.3, 0.2],
        open_a=[1.1, 1.1, 9.0, 9.0, 9.0],
        close_a=[1.1, 1.08, 9.0, 9.0, 9.0],
        filled=[0, 0, 1, 0, 0],
        segments=[0, 0, 0, 1, 1],
    )
    candidates = starts_of(market, decision=DECISION.model_copy(update={"loss_limit": 1.0}))
    assert len(candidates) == 1
    assert candidates.reason[0] == ExitReason.CUT_OFF
    assert candidates.exit_ts[0] == market.bars.ts[1] + HOUR
    assert candidates.exit_price_a[0] == pytest.approx(1.08)


def test_open_positions_are_marked_to_market_daily() -> None:
    # entered Monday 21:00 UTC at 1.10; the bar that closes at 22:00 UTC (17:00 New York) stands at 1.09: 0.01 × 227,000
    market = pair_market(
        [2.5, 1.5, 0.3, 0.2],
        start="2024-03-04T20",
        open_a=[1.1, 1.1, 1.08, 1.08],
        close_a=[1.1, 1.09, 1.08, 1.08],
    )
    result, net = trade(market)
    assert result.open_positions.tolist() == [1, 0]
    assert result.equity.tolist() == pytest.approx([1e6, 1e6 + 2_270.0, 1e6 + 4_540.0])
    assert net == pytest.approx([4_540.0])


def test_a_fill_at_the_mark_itself_is_marked_from_the_next_day_on() -> None:
    # entered at 22:00 UTC = 17:00 New York on Monday, held over Tuesday's mark at which A stands at 1.09
    market = pair_market([2.5] + [1.5] * 30 + [0.3, 0.2], start="2024-03-04T21", close_a=[1.1] + [1.09] * 32)
    result, _ = trade(market)
    assert result.open_positions.tolist() == [0, 1, 0]
    assert result.equity[:3].tolist() == pytest.approx([1e6, 1e6, 1e6 + 2_270.0])


def test_gross_compounds_on_the_equity_of_the_last_mark() -> None:
    # two trades on two days: the first gains 10 % on leg A's 250,000, the second is sized on the new equity
    day = 24
    z = [2.5, 1.5, 0.3, *[0.0] * (day - 3)] * 2
    open_a = [1.1, 1.1, 1.1, *[0.99] * (day - 3), *[1.1] * day]
    market = pair_market(z, open_a=open_a)
    result, net = trade(market)
    assert net[0] == pytest.approx(227_000 * 0.11)
    # 0.5 × 1,024,970 / 2 / 110,000 = 2.329 lots
    assert result.lots_a.tolist() == pytest.approx([2.27, 2.32])


def test_total_leverage_caps_the_positions_after() -> None:
    # the cap of 0.7 × 1,000,000 leaves 200,500 for the second pair: 0.91 lots of A in place of 2.27
    z = [2.5, 1.5, 1.5, 0.3, 0.2]
    first, second = pair_market(z, pair_id="A-B"), pair_market(z, pair_id="C-D")
    capital = CAPITAL.model_copy(update={"leverage_max": 0.7})
    candidates = pool_candidates([starts_of(first), starts_of(second)])
    window = Window(int(first.bars.ts[0]), int(first.bars.ts[-1]) + HOUR)
    portfolio = portfolio_of(first, second, capital=capital)
    result = run_backtest(candidates, marks_of(first), portfolio, window, theta1=0.7, theta2=0.3)
    assert [candidates.pairs[i] for i in candidates.pair[result.taken]] == ["A-B", "C-D"]
    assert result.lots_a.tolist() == pytest.approx([2.27, 0.91])
    assert result.gross_usd.sum() <= 0.7 * 1e6
    assert result.gross_usd[0] == pytest.approx(2.27 * 110_000 + 1.92 * 130_000)


def test_margin_caps_the_positions_after() -> None:
    # 20 % margin on 1 % of equity: 50,000 of gross fit
    z = [2.5, 1.5, 1.5, 0.3, 0.2]
    heavy = symbol(margin_rate=0.2)
    market = pair_market(z, symbols=(heavy, heavy))
    capital = CAPITAL.model_copy(update={"margin_use_max": 0.01})
    result, _ = trade(market, capital=capital)
    assert result.lots_a.tolist() == pytest.approx([0.22])
    assert result.gross_usd[0] * 0.2 <= 0.01 * 1e6


def test_when_the_capital_is_gone_nothing_more_is_opened() -> None:
    day = 24
    z = [2.5, 1.5, 0.3, *[0.0] * (day - 3)] * 2
    open_a = [1.1, 1.1, 1.1, *[11.0] * (day - 3), *[1.1] * day]
    result, net = trade(pair_market(z, open_a=open_a))
    assert result.taken.size == 1
    assert net[0] < -1e6
    assert np.all(np.isfinite(result.daily_returns))
