"""Nothing is decided and nothing fills outside the trading hours of both legs."""

from __future__ import annotations

from core.backtest.trading_hours import within_hours
from core.config.universe import Calendar, Closure, DailyBreak, Session
from tests.unit.backtest.market import moment, pair_market, replace_bars, starts_of

FX = Calendar(
    timezone="America/New_York",
    sessions=(Session(open_day="sun", open_time="17:00", close_day="fri", close_time="17:00"),),
    daily_breaks=(),
    closures=(Closure(day="12-25", start="00:00", days_later=0, end="24:00"),),
    edge_tolerance_bars=1,
)
GOLD = FX.model_copy(
    update={
        "daily_breaks": (DailyBreak(start="17:00", end="18:00"),),
        "sessions": (Session(open_day="sun", open_time="18:00", close_day="fri", close_time="17:00"),),
    }
)
HOUR = 3600


def test_a_fill_waits_for_the_end_of_the_other_legs_daily_break() -> None:
    # decided at 22:00 UTC = 17:00 New York, when gold pauses for an hour although bars of both came
    market = pair_market([2.5, 1.5, 1.4, 0.3, 0.2, 0.1], start="2024-03-04T21")
    assert starts_of(market).entry_ts.tolist() == [moment("2024-03-04T22")]
    paused = replace_bars(market, within_hours(market.bars, (FX, GOLD)))
    assert starts_of(paused).entry_ts.tolist() == [moment("2024-03-04T23")]


def test_a_bar_of_the_weekend_decides_no_exit_and_fills_none() -> None:
    # Friday 2024-03-08 closes at 22:00 UTC, Sunday opens at 21:00 (the clocks change that night).
    # z is back on Saturday: decided at Sunday's first close, out at the open after it.
    stamps = [
        moment(text) for text in ("2024-03-08T19", "2024-03-08T20", "2024-03-09T12", "2024-03-10T21", "2024-03-10T22")
    ]
    market = pair_market([2.5, 1.5, 0.3, 0.3, 0.2], ts=stamps)
    assert starts_of(market).exit_ts.tolist() == [moment("2024-03-10T21")]
    closed = starts_of(replace_bars(market, within_hours(market.bars, (FX,))))
    assert closed.exit_decided.tolist() == [moment("2024-03-10T22")]
    assert closed.exit_ts.tolist() == [moment("2024-03-10T22")]


def test_a_holiday_takes_no_entry_and_decides_none() -> None:
    # both legs quote on Christmas: the start of 24 December 23:00 New York waits until 26 December opens at 05:00 UTC
    stamps = [moment("2024-12-25T04") + HOUR * i for i in range(30)]
    z = [2.5, 2.5, *[1.0] * 26, 0.3, 0.2]
    market = pair_market(z, ts=stamps)
    assert len(starts_of(market)) == 2
    closed = starts_of(replace_bars(market, within_hours(market.bars, (FX,))))
    assert closed.ts.tolist() == [moment("2024-12-25T04")]
    assert closed.entry_ts.tolist() == [moment("2024-12-26T05")]


def test_bars_within_hours_stay_what_they_are() -> None:
    bars = pair_market([2.5, 1.5, 0.3, 0.2]).bars
    assert within_hours(bars, (FX, GOLD)) is bars
