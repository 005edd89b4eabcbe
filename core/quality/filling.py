"""Bars put into short holes (SPEC DATA-3)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.market.bars import CANONICAL_COLUMNS, epoch_seconds, stamps
from core.market.calendar import ExpectedBars, Hole


def can_fill(hole: Hole, expected: ExpectedBars, max_bars: int) -> bool:
    """Whether a hole is short enough and has a bar of its own session on either side."""
    at = int(np.searchsorted(expected.opens, hole.first))
    after = at + hole.bars
    if hole.bars > max_bars or at == 0 or after >= len(expected):
        return False
    return bool(expected.session[at - 1] == expected.session[at] == expected.session[after])


def fill_holes(bars: pd.DataFrame, holes: list[Hole], outliers: frozenset[int], timeframe_seconds: int) -> pd.DataFrame:
    """Canonical bars with every hole filled.

    The close of a filled bar lies on the straight line between the closes on either side of its hole, its open is the
    previous close, high and low are the larger and the smaller of the two, its volume is 0, its spike_flag that of the
    bar before the hole. `quality_flag` is 'outlier' where an outlier was taken away, else 'missing'.

    Args:
        bars: CANONICAL_COLUMNS, sorted by unique `ts`.
        holes: holes with a bar directly before and after each.
        outliers: opens (epoch seconds UTC) of the bars taken away as outliers.
    """
    if not holes:
        return bars
    ts = epoch_seconds(bars["ts"])
    first = np.array([hole.first for hole in holes], dtype=np.int64)
    length = np.array([hole.bars for hole in holes], dtype=np.int64)
    before = np.searchsorted(ts, first) - 1
    close = bars["close"].to_numpy()
    step = np.arange(1, int(length.sum()) + 1) - np.repeat(np.cumsum(length) - length, length)
    start, end = np.repeat(close[before], length), np.repeat(close[before + 1], length)
    bars_in_hole = np.repeat(length, length)
    filled_close = start + (end - start) * step / (bars_in_hole + 1)
    filled_open = start + (end - start) * (step - 1) / (bars_in_hole + 1)
    opens = np.repeat(first, length) + (step - 1) * timeframe_seconds
    flags = np.where(np.isin(opens, np.fromiter(outliers, dtype=np.int64)), "outlier", "missing")
    filled = pd.DataFrame(
        {
            "ts": stamps(opens),
            "open": filled_open,
            "high": np.maximum(filled_open, filled_close),
            "low": np.minimum(filled_open, filled_close),
            "close": filled_close,
            "volume": 0.0,
            "filled": True,
            "spike_flag": bars["spike_flag"].to_numpy()[np.repeat(before, length)],
            "quality_flag": pd.Series(flags, dtype="str"),
        }
    )
    merged = pd.concat([bars, filled[list(CANONICAL_COLUMNS)]], ignore_index=True)
    return merged.sort_values("ts", kind="stable", ignore_index=True)
