"""Small worked inputs of the market tests."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from core.config.loader import load_settings
from core.config.settings import Settings
from core.config.sources import Simulator
from core.config.universe import Calendar
from core.market.bars import CANONICAL_COLUMNS, raw_bars

HOUR = 3600
CONFIGS = Path(__file__).parents[3] / "configs"


def settings(environment: str) -> Settings:
    return load_settings(CONFIGS, environment)


def simulator() -> Simulator:
    provider = settings("dev").sources.providers[0]
    assert isinstance(provider, Simulator)
    return provider


def at(text: str, zone: str = "UTC") -> int:
    """Epoch seconds of an ISO date and time read in `zone`."""
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def calendar(**changes: Any) -> Calendar:
    """Sunday 17:00 to Friday 17:00 New York, with changes."""
    week = {"open_day": "sun", "open_time": "17:00", "close_day": "fri", "close_time": "17:00"}
    plain = {
        "timezone": "America/New_York",
        "sessions": (week,),
        "daily_breaks": (),
        "closures": (),
        "edge_tolerance_bars": 1,
    }
    return Calendar.model_validate(plain | changes)


def closure(day: str, start: str, days_later: int, end: str) -> dict[str, Any]:
    return {"day": day, "start": start, "days_later": days_later, "end": end}


def raw(ts: Sequence[int], price: float = 100.0) -> pd.DataFrame:
    """Raw bars at these stamps around one price."""
    n = len(ts)
    ohlc = np.tile([price, price * 1.01, price * 0.99, price], (n, 1))
    return raw_bars(np.array(ts, dtype=np.int64), ohlc, np.ones(n))


def canonical(ts: Sequence[int], segment: Sequence[int], price: float = 100.0) -> pd.DataFrame:
    """Canonical bars with a segment column."""
    frame = raw(ts, price).assign(filled=False, spike_flag=False, quality_flag="ok")
    return frame[list(CANONICAL_COLUMNS)].assign(segment=np.array(segment, dtype=np.int64))
