"""Which bars should exist: sessions in local time, daily breaks and closures (SPEC DATA-3)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.config.universe import Calendar
from core.market.closures import closure_days
from core.market.intervals import Intervals, subtract

Ints = NDArray[np.int64]

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = 86_400


@dataclass(frozen=True)
class ExpectedBars:
    """Bars that should exist, in order of time; all arrays are int64 (n,).

    `opens` are epoch seconds UTC. A session is a maximal run of consecutive expected bars: no filling and no hole spans
    two of them. `session` numbers them from 0 within this object. `since_open` and `until_close` count the bars between
    a bar and its session's first and last one, and stop counting at edge_tolerance_bars + 1.
    """

    opens: Ints
    session: Ints
    since_open: Ints
    until_close: Ints

    def __len__(self) -> int:
        return int(self.opens.shape[0])


@dataclass(frozen=True)
class Hole:
    """`bars` consecutive missing bars of one session, the first opening at `first` (epoch seconds UTC)."""

    first: int
    bars: int


def trading_intervals(calendar: Calendar, start: int, end: int) -> Intervals:
    """Stretches of trading, int64 (n, 2) epoch seconds [open, close), that touch [start, end); not clipped to it."""
    zone = ZoneInfo(calendar.timezone)
    first = datetime.datetime.fromtimestamp(start, datetime.UTC).date() - datetime.timedelta(days=9)
    last = datetime.datetime.fromtimestamp(end, datetime.UTC).date() + datetime.timedelta(days=9)
    weekly, removed = [], []
    for number in range((last - first).days + 1):
        day = first + datetime.timedelta(days=number)
        for session in calendar.sessions:
            if _WEEKDAYS[day.weekday()] == session.open_day:
                days = (_WEEKDAYS.index(session.close_day) - day.weekday()) % 7
                if days == 0 and session.close_time <= session.open_time:
                    days = 7
                weekly.append((_utc(zone, day, session.open_time), _utc(zone, day, session.close_time, days)))
        removed += [(_utc(zone, day, pause.start), _utc(zone, day, pause.end)) for pause in calendar.daily_breaks]
    for closure in calendar.closures:
        for day in closure_days(closure, first.year - 1, last.year):
            removed.append((_utc(zone, day, closure.start), _utc(zone, day, closure.end, closure.days_later)))
    trading = subtract(_intervals(weekly), _intervals(removed))
    return trading[(trading[:, 1] > start) & (trading[:, 0] < end)]


def expected_opens(calendar: Calendar, timeframe_seconds: int, start: int, end: int) -> Ints:
    """Opens, int64 (n,) epoch seconds UTC in [start, end), of the bars that should exist.

    Bars lie on the grid of multiples of `timeframe_seconds`; one is expected when any moment of it is trading time.
    """
    spans = trading_intervals(calendar, start, end + timeframe_seconds)
    first = spans[:, 0] // timeframe_seconds
    count = -(-spans[:, 1] // timeframe_seconds) - first
    offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    opens = np.unique((np.repeat(first, count) + offset) * timeframe_seconds)
    return opens[(opens >= start) & (opens < end)].astype(np.int64)


def expected_bars(calendar: Calendar, timeframe_seconds: int, start: int, end: int) -> ExpectedBars:
    """The bars of `expected_opens` with their sessions and their distance from the sessions' edges."""
    limit = calendar.edge_tolerance_bars + 1
    margin = (limit + 1) * timeframe_seconds
    opens = expected_opens(calendar, timeframe_seconds, start - margin, end + margin)
    breaks = np.flatnonzero(np.diff(opens) != timeframe_seconds) + 1
    edges = np.concatenate(([0], breaks, [opens.size])).astype(np.int64)
    length = np.diff(edges)
    index = np.arange(opens.size, dtype=np.int64)
    since_open = np.minimum(index - np.repeat(edges[:-1], length), limit)
    until_close = np.minimum(np.repeat(edges[1:], length) - 1 - index, limit)
    session = np.repeat(np.arange(length.size, dtype=np.int64), length)
    inside = (opens >= start) & (opens < end)
    session = session[inside] - (session[inside][0] if inside.any() else 0)
    return ExpectedBars(opens[inside], session, since_open[inside], until_close[inside])


def find_holes(expected: ExpectedBars, present: Ints, edge_tolerance_bars: int) -> list[Hole]:
    """Runs of expected bars that are not among `present` (epoch seconds), in order of time.

    A run of at most `edge_tolerance_bars` at a session's very edge is a late open or an early close and no hole.
    """
    missing = ~np.isin(expected.opens, present)
    linked = missing[1:] & missing[:-1] & (np.diff(expected.session) == 0)
    first = np.flatnonzero(missing & ~np.concatenate(([False], linked))[: len(expected)])
    last = np.flatnonzero(missing & ~np.concatenate((linked, [False]))[: len(expected)])
    bars = last - first + 1
    at_edge = (expected.since_open[first] == 0) | (expected.until_close[last] == 0)
    real = ~(at_edge & (bars <= edge_tolerance_bars))
    return [Hole(int(expected.opens[i]), int(n)) for i, n in zip(first[real], bars[real], strict=True)]


def session_ids(calendar: Calendar, timeframe_seconds: int, ts: Ints) -> Ints:
    """The number of the session each bar belongs to, int64 (n,), growing with time from 0; −1 outside all sessions.

    `ts` (n,) are bar opens in epoch seconds, sorted.
    """
    if ts.size == 0:
        return np.empty(0, dtype=np.int64)
    expected = expected_bars(calendar, timeframe_seconds, int(ts[0]), int(ts[-1]) + timeframe_seconds)
    if len(expected) == 0:
        return np.full(ts.size, -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(expected.opens, ts), len(expected) - 1)
    return np.where(expected.opens[at] == ts, expected.session[at], -1)


def _utc(zone: ZoneInfo, day: datetime.date, clock: str, days_later: int = 0) -> int:
    """Epoch seconds of a local wall-clock time; the earlier reading where it occurs twice."""
    midnight = datetime.datetime.combine(day + datetime.timedelta(days=days_later), datetime.time())
    minutes = int(clock[:2]) * 60 + int(clock[3:])
    local = (midnight + datetime.timedelta(minutes=minutes)).replace(tzinfo=zone)
    return int(local.timestamp())


def _intervals(spans: list[tuple[int, int]]) -> Intervals:
    return np.array(spans, dtype=np.int64).reshape(-1, 2)
