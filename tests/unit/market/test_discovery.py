"""Guesses about bars never seen before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.universe import Calendar
from core.market.bars import stamps
from core.market.calendar import expected_bars as bars_of
from core.market.calendar import expected_opens, find_holes, session_ids
from core.market.discovery.contracts import guess_contract, guess_price_scale, guess_tick_size
from core.market.discovery.hours import guess_closures, guess_stamp_zone, guess_week, never_closes
from core.market.discovery.proposals import enough_pairs, propose_pairs
from tests.unit.market.examples import HOUR, at, calendar, closure

START, END = at("2021-01-01T00:00"), at("2023-01-01T00:00")
FX = calendar()
GOLD = calendar(
    sessions=({"open_day": "sun", "open_time": "18:00", "close_day": "fri", "close_time": "17:00"},),
    daily_breaks=({"start": "17:00", "end": "18:00"},),
)
SHARES = calendar(
    sessions=({"open_day": "mon", "open_time": "09:00", "close_day": "fri", "close_time": "16:00"},),
    daily_breaks=({"start": "00:00", "end": "09:00"}, {"start": "16:00", "end": "24:00"}),
)
UTC_WEEK = calendar(
    timezone="UTC", sessions=({"open_day": "mon", "open_time": "00:00", "close_day": "fri", "close_time": "24:00"},)
)


@pytest.mark.parametrize(
    ("symbol", "price", "base", "quote", "lot", "step"),
    [
        ("NZDUSD", 0.62, "NZD", "USD", 100_000.0, 0.01),
        ("EURUSD.A", 1.1, "EUR", "USD", 100_000.0, 0.01),
        ("ABC_GBPJPY", 150.0, "GBP", "JPY", 100_000.0, 0.01),
        ("XAGUSD", 25.0, "XAG", "USD", 5000.0, 0.01),
        ("BTCUSDT", 30_000.0, "BTC", "USD", 1.0, 0.001),
        ("ETHEUR", 1800.0, "ETH", "EUR", 1.0, 0.01),
        ("AAPL", 190.0, "AAPL", "USD", 1.0, 0.1),
        ("GE", 9.0, "GEX", "USD", 1.0, 10.0),
    ],
)
def test_contracts_from_names(symbol: str, price: float, *, base: str, quote: str, lot: float, step: float) -> None:
    guess = guess_contract(symbol, price)
    assert (guess.base, guess.quote, guess.contract_size) == (base, quote, lot)
    assert guess.lot_step == pytest.approx(step)


@given(
    st.sampled_from([0.00001, 0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.25, 0.5, 1.0]),
    st.integers(0, 1000),
)
def test_the_tick_of_prices_on_a_grid_is_that_grid(tick: float, seed: int) -> None:
    ticks = np.random.default_rng(seed).integers(1000, 9000, size=500).astype(np.float64)
    assert guess_tick_size(ticks * tick) == pytest.approx(tick)


def test_a_few_prices_off_the_grid_do_not_matter() -> None:
    prices = np.arange(1.0, 41.0, 0.01).round(2)
    prices[17] = 1.23456
    assert guess_tick_size(prices) == 0.01


@pytest.mark.parametrize(
    ("symbol", "price", "power"),
    [
        ("AUDUSD", 0.75, 0),
        ("AUDUSD", 103_428.0, 5),
        ("GBPJPY", 128_847.000000001, 3),
        ("GBPJPY", 150.0, 0),
        ("GBPJPY", 450.1, 0),
        ("USDINR", 83.1, 0),
        ("USDTRY", 34.2, 0),
        ("EURHUF", 390.4, 0),
        ("BTCUSD", 60_000.0, 0),
        ("AAPL", 190.0, 0),
    ],
)
def test_prices_in_points_are_recognised(symbol: str, price: float, power: int) -> None:
    assert guess_price_scale(symbol, np.array([price])) == power


@pytest.mark.parametrize("truth", [FX, GOLD, SHARES, UTC_WEEK], ids=["fx", "gold", "shares", "utc"])
def test_the_week_is_read_from_the_stamps(truth: Calendar) -> None:
    ts = expected_opens(truth, HOUR, START, END)
    guess = guess_week(ts, HOUR)
    assert guess.timezone == truth.timezone
    assert np.array_equal(expected_opens(guess, HOUR, START, END), ts)


def test_a_market_that_never_closes_is_recognised() -> None:
    ts = np.arange(START, END, HOUR, dtype=np.int64)
    assert never_closes(ts)
    assert np.array_equal(expected_opens(guess_week(ts, HOUR), HOUR, START, END), ts)
    assert not never_closes(expected_opens(FX, HOUR, START, END))


def test_bars_that_never_pause_a_day_are_taken_for_a_market_that_never_closes() -> None:
    ts = np.arange(START, END, HOUR, dtype=np.int64)
    busy = ts[((ts // 86_400 + 3) % 7 != 5) | (ts % 86_400 < 6 * HOUR)]
    assert not never_closes(busy)
    assert guess_week(busy, HOUR) == guess_week(ts, HOUR)


def test_late_opens_and_early_closes_become_tolerance() -> None:
    bars = bars_of(FX, HOUR, START, END)
    late = (bars.since_open == 0) & (bars.session % 10 == 3)
    early = (bars.until_close == 0) & (bars.session % 5 == 1)
    ts = bars.opens[~late & ~early]
    guess = guess_week(ts, HOUR)
    assert guess.edge_tolerance_bars == 1
    assert find_holes(bars_of(guess, HOUR, START, END), ts, 1) == []


def test_closures_are_what_most_symbols_lack_alike() -> None:
    holidays = calendar(closures=(closure("12-24", "15:00", 1, "23:00"), closure("07-05", "16:00", 0, "17:00")))
    ts = expected_opens(holidays, HOUR, START, END)
    outage = (ts >= at("2021-03-10T05:00")) & (ts < at("2021-03-10T15:00"))
    guessed = guess_closures(FX, HOUR, [ts, ts, ts[~outage]])
    assert [(day.day, day.start, day.days_later, day.end) for day in guessed] == [
        ("2021-12-24", "15:00", 0, "17:00"),
        ("2022-12-25", "17:00", 0, "23:00"),
    ]
    with_closures = FX.model_copy(update={"closures": guessed})
    assert np.all(session_ids(with_closures, HOUR, ts) >= 0)
    holes = find_holes(bars_of(with_closures, HOUR, START, END), ts[~outage], 1)
    assert [hole.bars for hole in holes] == [10, 1, 1]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Athens"])
def test_the_zone_of_naive_stamps(zone: str) -> None:
    local = stamps(expected_opens(FX, HOUR, START, END)).dt.tz_convert(zone).dt.tz_localize(None)
    assert guess_stamp_zone(local) == zone


def test_the_zone_of_a_market_that_never_closes_is_utc() -> None:
    assert guess_stamp_zone(stamps(np.arange(START, END, HOUR, dtype=np.int64)).dt.tz_localize(None)) == "UTC"


def test_pairs_are_proposed_by_correlation_either_way() -> None:
    rng = np.random.default_rng(5)
    common = rng.standard_normal(2000)
    noise = rng.standard_normal((5, 2000))
    returns = {
        "A": common,
        "B": common + 0.5 * noise[0],
        "C": -common + 1.0 * noise[1],
        "D": noise[2],
        "TWIN": common + 1e-4 * noise[3],
    }
    index = pd.RangeIndex(2000)
    closes = {name: pd.Series(np.exp(1e-3 * np.cumsum(moves)), index=index) for name, moves in returns.items()}
    closes["SHORT"] = closes["A"].iloc[:400]
    closes["FLAT"] = pd.Series(1.0, index=index)
    proposals = propose_pairs(closes)
    named = [(proposal.a, proposal.b) for proposal in proposals]
    assert ("A", "TWIN") not in named
    assert not any("SHORT" in pair or "FLAT" in pair for pair in named)
    assert {named[0], named[1]} == {("A", "B"), ("B", "TWIN")}
    assert named[2] in {("A", "C"), ("C", "TWIN")}
    assert proposals[2].correlation < -0.6


def test_ten_symbols_give_at_least_twelve_pairs() -> None:
    assert [enough_pairs(n) for n in (1, 2, 3, 5, 10, 27)] == [0, 1, 3, 10, 13, 36]
