"""Trading hours guessed from the stamps of bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from core.config.universe import Calendar, Closure, DailyBreak, Session
from core.market.calendar import expected_bars, expected_opens, find_holes
from core.market.pairs import Ints

_DAY: Final = 86_400
_WEEK: Final = 7 * _DAY
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SEEN_SHARE: Final = 0.05
_SHARED_BY: Final = 0.6
_FILLABLE_BARS: Final = 2
_SUNDAY_OPENS: Final = (6 * 1440 + 17 * 60, 6 * 1440 + 18 * 60)
_ZONES: Final = ("UTC", "America/New_York", "Europe/Athens")


def guess_stamp_zone(local: pd.Series) -> str:
    """The zone of naive stamps (datetime64, sorted): the one in which the week most often opens when currencies or gold
    do, Sunday 17:00 or 18:00 in New York. UTC unless another is clearly better."""
    shares = {}
    for zone in _ZONES:
        aware = local.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").dropna().dt.tz_convert("UTC")
        seconds = aware.to_numpy(dtype="datetime64[s]").astype(np.int64)
        opens = _week_minutes(_after_weekends(seconds), "America/New_York")
        shares[zone] = float(np.isin(opens, _SUNDAY_OPENS).mean()) if opens.size else 0.0
    best = max(_ZONES, key=lambda zone: shares[zone])
    return best if shares[best] > max(0.5, shares["UTC"] + 0.1) else "UTC"


def never_closes(ts: Ints) -> bool:
    """Whether bars, epoch seconds UTC (n,), come on Saturdays nearly as often as on Wednesdays."""
    weekday = (ts // _DAY + 3) % 7
    return bool(np.sum(weekday == 5) > 0.5 * np.sum(weekday == 2))


def guess_week(ts: Ints, timeframe_seconds: int) -> Calendar:
    """Calendar without closures from the bar opens of one symbol (epoch seconds UTC, sorted).

    24×7 in UTC, or one session a week whose opening and closing are the earliest and latest seen in at least 5 % of the
    weeks, in New York time or UTC, whichever is steadier; slots hardly ever traded from Monday to Thursday are daily
    breaks. Bars that never pause for a day show no week and are taken for 24×7.
    """
    if never_closes(ts) or _after_weekends(ts).size == 0:
        return _calendar("UTC", Session(open_day="mon", open_time="00:00", close_day="sun", close_time="24:00"), (), 0)
    opens, closes = _after_weekends(ts), _before_weekends(ts) + timeframe_seconds
    steadiness = {zone: _steadiness(opens, closes, zone) for zone in ("America/New_York", "UTC")}
    zone = max(steadiness, key=lambda name: steadiness[name])
    first, late = _typical(_week_minutes(opens, zone), earliest=True)
    last, early = _typical(_week_minutes(closes, zone), earliest=False)
    tolerance = min(3, -(-max(late, early) * 60 // timeframe_seconds))
    open_day, open_time = _clock(first)
    close_day, close_time = _clock(last)
    if close_time == "00:00":
        close_day, close_time = _WEEKDAYS[_WEEKDAYS.index(close_day) - 1], "24:00"
    session = Session.model_validate(
        {"open_day": open_day, "open_time": open_time, "close_day": close_day, "close_time": close_time}
    )
    return _calendar(zone, session, _breaks(ts, zone, timeframe_seconds), tolerance)


def guess_closures(calendar: Calendar, timeframe_seconds: int, stamps: Sequence[Ints]) -> tuple[Closure, ...]:
    """One-off closures: runs of bars that at least 60 % of the calendar's symbols lack.

    Only holes of more than 2 bars, or at a session's edge, count: shorter ones inside a session can be filled.

    `stamps` holds each symbol's bar opens (epoch seconds UTC, sorted); one outside its history does not count.
    """
    first, last = min(int(ts[0]) for ts in stamps), max(int(ts[-1]) for ts in stamps)
    opens = expected_opens(calendar, timeframe_seconds, first, last + timeframe_seconds)
    lacking, covering = np.zeros(opens.size), np.zeros(opens.size)
    for ts in stamps:
        covering += (opens >= ts[0]) & (opens <= ts[-1])
        bars = expected_bars(calendar, timeframe_seconds, int(ts[0]), int(ts[-1]) + timeframe_seconds)
        for hole in find_holes(bars, ts, calendar.edge_tolerance_bars):
            start, own = int(np.searchsorted(opens, hole.first)), int(np.searchsorted(bars.opens, hole.first))
            at_edge = bars.since_open[own] == 0 or bars.until_close[own + hole.bars - 1] == 0
            if hole.bars > _FILLABLE_BARS or at_edge:
                lacking[start : start + hole.bars] += 1
    closed = opens[(lacking > 0) & (lacking >= _SHARED_BY * covering)]
    runs = np.split(closed, np.flatnonzero(np.diff(closed) != timeframe_seconds) + 1)
    return tuple(_closure(int(run[0]), int(run[-1]) + timeframe_seconds, calendar.timezone) for run in runs if run.size)


def _calendar(zone: str, session: Session, breaks: tuple[DailyBreak, ...], tolerance: int) -> Calendar:
    return Calendar(timezone=zone, sessions=(session,), daily_breaks=breaks, closures=(), edge_tolerance_bars=tolerance)


def _after_weekends(ts: Ints) -> Ints:
    return ts[1:][np.diff(ts) >= _DAY]


def _before_weekends(ts: Ints) -> Ints:
    return ts[:-1][np.diff(ts) >= _DAY]


def _local(ts: Ints, zone: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(ts.astype("datetime64[s]")).tz_localize("UTC").tz_convert(zone)


def _week_minutes(ts: Ints, zone: str) -> Ints:
    local = _local(ts, zone)
    return np.asarray(local.day_of_week * 1440 + local.hour * 60 + local.minute, dtype=np.int64)


def _steadiness(opens: Ints, closes: Ints, zone: str) -> float:
    return sum(max(Counter(_week_minutes(ts, zone).tolist()).values(), default=0) for ts in (opens, closes))


def _typical(minutes: Ints, *, earliest: bool) -> tuple[int, int]:
    """The earliest (or latest) minute of the week seen often enough, and how far apart such minutes are.

    Minutes are compared around the commonest, so that a week may begin on Sunday or on Monday.
    """
    counts = Counter(minutes.tolist())
    common = counts.most_common(1)[0][0]
    near = {(minute - common + 5040) % 10_080 - 5040: count for minute, count in counts.items()}
    often = [offset for offset, count in near.items() if count >= _SEEN_SHARE * minutes.size and abs(offset) <= 360]
    chosen = min(often) if earliest else max(often)
    return (common + chosen) % 10_080, max(often) - min(often)


def _clock(minute_of_week: int) -> tuple[str, str]:
    day, minute = divmod(minute_of_week, 1440)
    return _WEEKDAYS[day], f"{minute // 60:02d}:{minute % 60:02d}"


def _breaks(ts: Ints, zone: str, timeframe_seconds: int) -> tuple[DailyBreak, ...]:
    if timeframe_seconds > 3600:
        return ()
    slots = _DAY // timeframe_seconds
    minutes = _week_minutes(ts, zone)
    inner = minutes[minutes < 4 * 1440]
    counts = np.bincount(inner % 1440 * 60 // timeframe_seconds, minlength=slots)
    idle = counts < _SEEN_SHARE * counts.max()
    edges = np.flatnonzero(np.diff(np.concatenate(([False], idle, [False])).astype(np.int8)))
    return tuple(
        DailyBreak(start=_slot(start, timeframe_seconds), end=_slot(end, timeframe_seconds))
        for start, end in edges.reshape(-1, 2)
    )


def _slot(slot: int, timeframe_seconds: int) -> str:
    minute = int(slot) * timeframe_seconds // 60
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _closure(start: int, end: int, zone: str) -> Closure:
    first, last = _local(np.array([start, end], dtype=np.int64), zone)
    return Closure(
        day=first.strftime("%Y-%m-%d"),
        start=first.strftime("%H:%M"),
        days_later=(last.date() - first.date()).days,
        end=last.strftime("%H:%M"),
    )
