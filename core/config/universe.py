"""universe.yaml: symbols, their trading calendars and the pairs (SPEC BT-2, SRV-2, DATA-3)."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from core.config.model import ConfigModel, Name, NonNegativeInt, PositiveFloat, Share, Text

SymbolName = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9._]*$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3,5}$")]
LocalClock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
LocalDay = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
AnnualDay = Annotated[str, StringConstraints(pattern=r"^\d{2}-\d{2}$")]
RuleDay = Annotated[
    str, StringConstraints(pattern=r"^(easter|\d{2}-(mon|tue|wed|thu|fri|sat|sun)-([1-4]|last))([+-]\d{1,2})?$")
]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Session(ConfigModel):
    """A weekly stretch of trading in local wall-clock time, e.g. Sunday 17:00 to Friday 17:00 New York."""

    open_day: Weekday
    open_time: LocalClock
    close_day: Weekday
    close_time: LocalClock


class Closure(ConfigModel):
    """A closure in local time, from `start` until `days_later` days on at `end`.

    `day` is yearly (MM-DD), one-off (YYYY-MM-DD), or a rule: Easter Sunday (easter-2 is Good Friday) or the n-th or
    last weekday of a month (11-thu-4 is Thanksgiving, 11-thu-4+1 the day after it).
    """

    day: AnnualDay | LocalDay | RuleDay
    start: LocalClock
    days_later: NonNegativeInt
    end: LocalClock

    @model_validator(mode="after")
    def _real(self) -> Self:
        if self.days_later == 0 and self.start >= self.end:
            raise ValueError("start must be before end, or days_later at least 1")
        if self.day.startswith("easter"):
            return self
        dated = re.match(r"(\d{4})-\d{2}-\d{2}$", self.day)
        yearly = re.match(r"\d{2}-\d{2}$", self.day)
        try:
            datetime.date.fromisoformat(self.day if dated else f"2000-{self.day if yearly else self.day[:3] + '01'}")
        except ValueError as error:
            raise ValueError(f"day {self.day!r} is no day of the calendar") from error
        return self


class DailyBreak(ConfigModel):
    """A break on every trading day, local time."""

    start: LocalClock
    end: LocalClock

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end; a break does not cross midnight")
        return self


class Calendar(ConfigModel):
    """When a symbol trades.

    Up to `edge_tolerance_bars` missing at the very edge of a session are a late open or an early close, not a hole.
    """

    timezone: Text
    sessions: Annotated[tuple[Session, ...], Field(min_length=1)]
    daily_breaks: tuple[DailyBreak, ...]
    closures: tuple[Closure, ...]
    edge_tolerance_bars: NonNegativeInt


class Symbol(ConfigModel):
    """Contract facts of one symbol. A price is `quote` currency per one unit of `base`."""

    base: Currency
    quote: Currency
    calendar: Name
    tick_size: PositiveFloat
    contract_size: PositiveFloat
    lot_step: PositiveFloat
    min_lot: PositiveFloat
    min_notional_usd: PositiveFloat
    margin_rate: Share


class Pair(ConfigModel):
    """Two legs; the spread is ln(a) − β·ln(b) − α."""

    id: Name
    a: SymbolName
    b: SymbolName


class Universe(ConfigModel):
    calendars: dict[str, Calendar]
    symbols: dict[SymbolName, Symbol]
    pairs: Annotated[tuple[Pair, ...], Field(min_length=1)]
