"""How numbers are written. A number there is none of is written as such, never as NaN."""

from __future__ import annotations

import math
from typing import Any, Final

NOT_COMPUTED: Final = "not computed"


def number(value: Any, form: str = ".2f") -> str:
    """A number in the form of a format specification; `not computed` for None, NaN and infinities."""
    if value is None or not math.isfinite(float(value)):
        return NOT_COMPUTED
    written = format(float(value), form)
    if float(written.replace(",", "").rstrip("%")) == 0.0:
        written = written.removeprefix("-")
    return written.replace("-", "−")


def share(value: Any, digits: int = 1) -> str:
    """A share as a percentage."""
    return number(value, f".{digits}%")


def usd(value: Any) -> str:
    """Whole dollars with thousands apart."""
    return number(value, ",.0f")


def span(low: Any, high: Any, form: str = ".2f") -> str:
    """An interval; `not computed` where it has no ends."""
    low, high = number(low, form), number(high, form)
    return NOT_COMPUTED if NOT_COMPUTED in (low, high) else f"{low} to {high}"


def count(many: int, one: str) -> str:
    """A number of things: `1 trade`, `2 trades`."""
    return f"{many:,} {one}" if many == 1 else f"{many:,} {one}s"
