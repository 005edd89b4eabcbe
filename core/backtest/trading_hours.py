"""Bars outside a leg's trading hours, at which nothing is decided and nothing fills (SPEC BT-2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from core.config.universe import Calendar
from core.market.calendar import session_ids
from core.market.pairs import PairBars


def within_hours(bars: PairBars, calendars: Iterable[Calendar]) -> PairBars:
    """The bars, those outside any of the calendars marked as filled: no position is decided or filled there.

    A source may send a bar on a holiday or at a weekend; the lake keeps it as it came.

    Args:
        bars: one pair.
        calendars: those of its legs.
    """
    outside = np.zeros(len(bars), dtype=np.bool_)
    for calendar in calendars:
        outside |= session_ids(calendar, bars.timeframe_seconds, bars.ts) < 0
    if not outside.any():
        return bars
    return replace(bars, filled=np.where(outside, np.maximum(bars.filled, 1), bars.filled).astype(np.uint8))
