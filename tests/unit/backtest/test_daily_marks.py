from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.backtest.daily_marks import daily_marks, swap_nights
from tests.unit.backtest.market import NEW_YORK_CLOSE, moment


def test_marks_follow_new_york_through_daylight_saving() -> None:
    # the clocks change on Sunday 2024-03-10: 22:00 UTC before, 21:00 UTC after; no mark at the weekend
    marks = daily_marks(moment("2024-03-07T22"), moment("2024-03-11T20"), NEW_YORK_CLOSE)
    assert [datetime.fromtimestamp(ts, UTC).isoformat() for ts in marks.ts] == [
        "2024-03-08T22:00:00+00:00",
        "2024-03-11T21:00:00+00:00",
    ]


def test_a_moment_on_a_mark_belongs_to_the_next_day() -> None:
    marks = daily_marks(moment("2024-03-05T22"), moment("2024-03-05T22"), NEW_YORK_CLOSE)
    assert marks.ts.tolist() == [moment("2024-03-06T22")]


def test_the_triple_day_counts_three() -> None:
    marks = daily_marks(moment("2024-03-04T00"), moment("2024-03-08T12"), NEW_YORK_CLOSE)
    assert swap_nights(marks, "wed").tolist() == [1.0, 1.0, 3.0, 1.0, 1.0]
    assert swap_nights(marks, "fri").tolist() == [1.0, 1.0, 1.0, 1.0, 3.0]


@given(st.integers(moment("2013-01-01T00"), moment("2026-01-01T00")), st.integers(0, 400 * 86400))
def test_marks_are_weekdays_at_five_and_cover_the_span(first: int, length: int) -> None:
    marks = daily_marks(first, first + length, NEW_YORK_CLOSE)
    assert marks.ts[0] > first
    assert marks.ts[-1] > first + length
    assert marks.ts.size == 1 or marks.ts[-2] <= first + length
    assert np.all(np.diff(marks.ts) > 0)
    for ts, weekday in zip(marks.ts, marks.weekday, strict=True):
        local = datetime.fromtimestamp(ts, ZoneInfo("America/New_York"))
        assert (local.hour, local.minute, local.weekday()) == (17, 0, weekday)
        assert weekday < 5
