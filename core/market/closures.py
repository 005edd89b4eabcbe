"""Which local days a closure falls on."""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Iterator
from typing import Final

from core.config.universe import Closure

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULE: Final = r"(easter | \d{2}-[a-z]{3}-(?:\d|last)) ([+-]\d{1,2})?"


def closure_days(closure: Closure, first_year: int, last_year: int) -> Iterator[datetime.date]:
    """The local days in the years first_year … last_year on which `closure` starts (29 February only in leap years)."""
    for year in range(first_year, last_year + 1):
        day = _day_in(closure.day, year)
        if day is not None:
            yield day


def easter_sunday(year: int) -> datetime.date:
    """Gregorian Easter after Meeus, Jones and Butcher."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    ell = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * ell) // 433
    month = (h + ell - 7 * m + 90) // 25
    day = (h + ell - 7 * m + 33 * month + 19) % 32
    return datetime.date(year, month, day)


def _day_in(rule: str, year: int) -> datetime.date | None:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", rule):
        day = datetime.date.fromisoformat(rule)
        return day if day.year == year else None
    if re.fullmatch(r"\d{2}-\d{2}", rule):
        if rule == "02-29" and not calendar.isleap(year):
            return None
        return datetime.date(year, int(rule[:2]), int(rule[3:]))
    name, offset = re.fullmatch(_RULE, rule, re.VERBOSE).groups()  # type: ignore[union-attr]
    later = datetime.timedelta(days=int(offset or 0))
    if name == "easter":
        return easter_sunday(year) + later
    month, weekday, which = name.split("-")
    return _nth_weekday(year, int(month), _WEEKDAYS.index(weekday), which) + later


def _nth_weekday(year: int, month: int, weekday: int, which: str) -> datetime.date:
    if which == "last":
        next_month = datetime.date(year + month // 12, month % 12 + 1, 1)
        last = next_month - datetime.timedelta(days=1)
        return last - datetime.timedelta(days=(last.weekday() - weekday) % 7)
    first = datetime.date(year, month, 1)
    return first + datetime.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (int(which) - 1))
