"""Which bars should exist: the week, daylight saving, breaks, holidays."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.config.universe import Calendar, Closure
from core.market.bars import epoch_seconds
from core.market.calendar import Hole, expected_bars, expected_opens, find_holes, session_ids, trading_intervals
from core.market.closures import closure_days, easter_sunday
from core.market.universe import calendar_of
from tests.unit.market.examples import HOUR, at, calendar, closure, settings

NEW_YORK = "America/New_York"
FX = calendar()
ALWAYS = calendar(
    timezone="UTC",
    sessions=({"open_day": "mon", "open_time": "00:00", "close_day": "sun", "close_time": "24:00"},),
)
GOLD = calendar(
    sessions=({"open_day": "sun", "open_time": "18:00", "close_day": "fri", "close_time": "17:00"},),
    daily_breaks=({"start": "17:00", "end": "18:00"},),
    edge_tolerance_bars=2,
)
DATES = st.integers(at("2010-01-01T00:00"), at("2030-01-01T00:00"))


def _local(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, ZoneInfo(NEW_YORK))


@pytest.mark.parametrize(
    ("week", "first", "last"),
    [
        ("2024-03-03", "2024-03-03T22:00", "2024-03-08T21:00"),  # standard time
        ("2024-03-10", "2024-03-10T21:00", "2024-03-15T20:00"),  # clocks went forward that Sunday morning
        ("2024-10-27", "2024-10-27T21:00", "2024-11-01T20:00"),  # summer time
        ("2024-11-03", "2024-11-03T22:00", "2024-11-08T21:00"),  # clocks went back that Sunday morning
    ],
)
def test_the_week_follows_new_york_through_both_clock_changes(week: str, first: str, last: str) -> None:
    opens = expected_opens(FX, HOUR, at(f"{week}T00:00"), at(f"{week}T00:00") + 6 * 86_400 + 23 * HOUR)
    assert (opens[0], opens[-1], opens.size) == (at(first), at(last), 120)


def test_a_session_across_a_clock_change_is_an_hour_shorter_or_longer() -> None:
    weekend = calendar(sessions=({"open_day": "sat", "open_time": "12:00", "close_day": "sun", "close_time": "12:00"},))
    forward = expected_opens(weekend, HOUR, at("2024-03-08T00:00"), at("2024-03-12T00:00"))
    back = expected_opens(weekend, HOUR, at("2024-11-01T00:00"), at("2024-11-05T00:00"))
    assert (forward.size, back.size) == (23, 25)


@given(DATES, st.integers(1, 60 * 24))
def test_every_expected_bar_is_in_local_trading_hours(start: int, hours: int) -> None:
    for seconds in expected_opens(FX, HOUR, start, start + hours * HOUR):
        local = _local(int(seconds))
        assert (local.weekday(), local.hour) >= (6, 17) or (local.weekday(), local.hour) < (4, 17)


@given(DATES, st.integers(0, 500), st.integers(0, 500), st.sampled_from([FX, GOLD, ALWAYS]))
def test_a_longer_period_holds_the_bars_of_its_parts(start: int, hours: int, more: int, chosen: Calendar) -> None:
    middle, end = start + hours * HOUR, start + (hours + more) * HOUR
    parts = np.concatenate([expected_opens(chosen, HOUR, start, middle), expected_opens(chosen, HOUR, middle, end)])
    assert np.array_equal(parts, expected_opens(chosen, HOUR, start, end))


@given(DATES, st.integers(1, 500), st.sampled_from([FX, GOLD, ALWAYS]))
def test_sessions_are_runs_without_a_gap(start: int, hours: int, chosen: Calendar) -> None:
    bars = expected_bars(chosen, HOUR, start, start + hours * HOUR)
    assert np.all(bars.opens % HOUR == 0)
    assert np.array_equal(np.diff(bars.session), (np.diff(bars.opens) != HOUR).astype(np.int64))
    inner = np.diff(bars.session) == 0
    assert np.all(np.diff(bars.since_open)[inner] >= 0)
    assert np.all(bars.since_open[1:][~inner] == 0)
    assert np.all(bars.until_close[:-1][~inner] == 0)


@given(DATES, st.integers(1, 300))
def test_a_market_that_never_closes_lacks_nothing(start: int, hours: int) -> None:
    first = -(-start // HOUR) * HOUR
    opens = expected_opens(ALWAYS, HOUR, first, first + hours * HOUR)
    assert np.array_equal(opens, first + HOUR * np.arange(hours))
    assert np.all(expected_bars(ALWAYS, HOUR, first, first + hours * HOUR).since_open > ALWAYS.edge_tolerance_bars)


def test_a_daily_break_ends_a_session() -> None:
    bars = expected_bars(GOLD, HOUR, at("2024-07-09T12:00"), at("2024-07-10T02:00"))
    hours = [_local(int(seconds)).hour for seconds in bars.opens]
    assert 17 not in hours
    assert [int(n) for n in bars.until_close[: hours.index(18)]][-3:] == [2, 1, 0]
    assert bars.since_open[hours.index(18)] == 0


def test_trading_intervals_are_what_remains_of_the_week() -> None:
    closed = calendar(closures=(closure("2024-07-04", "13:00", 0, "17:00"),))
    spans = trading_intervals(closed, at("2024-07-04T00:00"), at("2024-07-05T00:00"))
    expected = [
        ["2024-06-30T17:00", "2024-07-04T13:00"],
        ["2024-07-04T17:00", "2024-07-05T17:00"],
    ]
    assert spans.tolist() == [[at(text, NEW_YORK) for text in span] for span in expected]


def _missing(chosen: Calendar, missing: list[str], start: str = "2024-07-08T00:00") -> list[Hole]:
    end = at(start) + 5 * 86_400
    bars = expected_bars(chosen, HOUR, at(start), end)
    gone = [at(text, NEW_YORK) for text in missing]
    assert set(gone) <= set(bars.opens.tolist())
    return find_holes(bars, np.setdiff1d(bars.opens, gone), chosen.edge_tolerance_bars)


def test_a_missing_bar_inside_a_session_is_a_hole() -> None:
    missing = ["2024-07-09T10:00", "2024-07-09T11:00", "2024-07-09T13:00"]
    assert _missing(FX, missing) == [Hole(at(missing[0], NEW_YORK), 2), Hole(at(missing[2], NEW_YORK), 1)]


def test_an_early_close_within_tolerance_is_no_hole_and_beyond_it_is_one() -> None:
    assert _missing(FX, ["2024-07-12T16:00"]) == []
    assert _missing(FX, ["2024-07-12T15:00", "2024-07-12T16:00"]) == [Hole(at("2024-07-12T15:00", NEW_YORK), 2)]
    assert _missing(GOLD, ["2024-07-09T15:00", "2024-07-09T16:00"]) == []


def test_missing_bars_on_either_side_of_a_break_are_two_runs() -> None:
    assert _missing(GOLD, ["2024-07-09T15:00", "2024-07-09T16:00", "2024-07-09T18:00", "2024-07-09T19:00"]) == []
    far = ["2024-07-09T14:00", "2024-07-09T15:00", "2024-07-09T16:00", "2024-07-09T18:00"]
    assert _missing(GOLD, far) == [Hole(at(far[0], NEW_YORK), 3)]


def test_a_holiday_is_no_hole() -> None:
    closed = calendar(closures=(closure("12-24", "15:00", 1, "23:00"),))
    start, end = at("2019-12-23T00:00"), at("2019-12-28T00:00")
    opens = expected_opens(closed, HOUR, start, end)
    missing = np.setdiff1d(expected_opens(FX, HOUR, start, end), opens)
    assert missing.tolist() == [at("2019-12-24T15:00", NEW_YORK) + HOUR * n for n in range(32)]
    assert find_holes(expected_bars(closed, HOUR, start, end), opens, 1) == []


@given(st.sets(st.integers(0, 119), max_size=30), st.sampled_from([FX, GOLD]))
def test_holes_and_edges_are_all_that_is_missing(gone: set[int], chosen: Calendar) -> None:
    bars = expected_bars(chosen, HOUR, at("2024-07-07T12:00"), at("2024-07-13T12:00"))
    gone = {index for index in gone if index < len(bars)}
    holes = find_holes(bars, np.delete(bars.opens, sorted(gone)), chosen.edge_tolerance_bars)
    in_holes = {hole.first + HOUR * number for hole in holes for number in range(hole.bars)}
    missing = {int(bars.opens[index]) for index in gone}
    assert in_holes <= missing
    for seconds in missing - in_holes:
        index = int(np.searchsorted(bars.opens, seconds))
        assert min(bars.since_open[index], bars.until_close[index]) < chosen.edge_tolerance_bars


def test_session_numbers_mark_the_bars_outside() -> None:
    stamps = [at(text, NEW_YORK) for text in ("2024-07-12T16:00", "2024-07-13T10:00", "2024-07-14T17:00")]
    assert session_ids(FX, HOUR, np.array(stamps, dtype=np.int64)).tolist() == [0, -1, 1]
    assert session_ids(FX, HOUR, np.array([stamps[1]], dtype=np.int64)).tolist() == [-1]
    assert session_ids(FX, HOUR, np.empty(0, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize(
    ("year", "day"), [(2015, "2015-04-05"), (2019, "2019-04-21"), (2020, "2020-04-12"), (2024, "2024-03-31")]
)
def test_easter(year: int, day: str) -> None:
    assert easter_sunday(year).isoformat() == day


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("easter-2", ["2021-04-02", "2022-04-15"]),
        ("11-thu-4", ["2021-11-25", "2022-11-24"]),
        ("11-thu-4+1", ["2021-11-26", "2022-11-25"]),
        ("05-mon-last", ["2021-05-31", "2022-05-30"]),
        ("12-fri-last", ["2021-12-31", "2022-12-30"]),
        ("12-25", ["2021-12-25", "2022-12-25"]),
        ("02-29", []),
        ("2022-06-01", ["2022-06-01"]),
    ],
)
def test_the_days_of_a_closure(rule: str, days: list[str]) -> None:
    found = closure_days(Closure.model_validate(closure(rule, "00:00", 1, "00:00")), 2021, 2022)
    assert [day.isoformat() for day in found] == days


@pytest.mark.parametrize(
    "fields",
    [
        closure("13-01", "00:00", 1, "00:00"),
        closure("2023-02-29", "00:00", 1, "00:00"),
        closure("00-mon-1", "00:00", 1, "00:00"),
        closure("11-thu-5", "00:00", 1, "00:00"),
        closure("easter2", "00:00", 1, "00:00"),
        closure("12-25", "10:00", 0, "10:00"),
        closure("12-25", "25:00", 1, "10:00"),
    ],
)
def test_a_closure_that_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Closure.model_validate(fields)


DATA = Path(os.environ.get("MARKET_DATA", Path(__file__).parents[4] / "shared" / "data")) / "fx_h1"


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data absent")
@pytest.mark.parametrize("symbol", sorted(settings("prod").universe.symbols))
def test_the_base_calendars_leave_only_real_holes(symbol: str) -> None:
    ts = epoch_seconds(pd.read_parquet(DATA / f"{symbol}.parquet", columns=["ts"])["ts"])
    chosen = calendar_of(settings("prod").universe, symbol)
    holes = find_holes(expected_bars(chosen, HOUR, int(ts[0]), int(ts[-1]) + HOUR), ts, chosen.edge_tolerance_bars)
    assert 5 <= len(holes) <= 8
    newest = ts >= at("2019-02-01T00:00")
    assert max(hole.bars for hole in holes if hole.first >= at("2019-02-01T00:00")) <= 2
    assert np.all(session_ids(chosen, HOUR, ts[newest]) >= 0)
