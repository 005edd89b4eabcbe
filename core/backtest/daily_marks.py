"""When a trading day ends: the moments equity is marked and swap is charged (FORMULAS "Daily equity", "Net result")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.config.backtest_policy import DailyMark
from core.market.pairs import Ints

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LAST_TRADING_WEEKDAY: Final = 4


@dataclass(frozen=True)
class DailyMarks:
    """Marks at the policy's local time, Monday to Friday.

    `ts` is int64 (k,), epoch seconds UTC, strictly increasing; `weekday` int8 (k,) the local day, Monday = 0.
    """

    ts: Ints
    weekday: NDArray[np.int8]


def daily_marks(first: int, last: int, policy: DailyMark) -> DailyMarks:
    """Every mark from the first after `first` to the first after `last` (epoch seconds UTC), daylight saving included.

    A bar or fill at a mark's very moment belongs to the next day: so the last mark lies after `last`.
    """
    zone = ZoneInfo(policy.timezone)
    clock = time.fromisoformat(policy.time)
    day = datetime.fromtimestamp(first, UTC).astimezone(zone).date() - timedelta(days=1)
    stamps: list[int] = []
    weekdays: list[int] = []
    while not stamps or stamps[-1] <= last:
        stamp = _moment(day, clock, zone)
        if day.weekday() <= _LAST_TRADING_WEEKDAY and stamp > first:
            stamps.append(stamp)
            weekdays.append(day.weekday())
        day += timedelta(days=1)
    return DailyMarks(ts=np.array(stamps, dtype=np.int64), weekday=np.array(weekdays, dtype=np.int8))


def swap_nights(marks: DailyMarks, triple_weekday: str) -> NDArray[np.float64]:
    """Nights charged at each mark: one, three on the triple day (float64 (k,))."""
    return np.where(marks.weekday == WEEKDAYS.index(triple_weekday), 3.0, 1.0)


def _moment(day: date, clock: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, clock, tzinfo=zone).timestamp())
