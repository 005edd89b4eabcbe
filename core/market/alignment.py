"""The bars both legs of a pair have."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import InputError
from core.market.bars import epoch_seconds
from core.market.pairs import PairBars


def align_pair(pair_id: str, timeframe_seconds: int, bars_a: pd.DataFrame, bars_b: pd.DataFrame) -> PairBars:
    """Inner join of two canonical frames on `ts`.

    Each frame has CANONICAL_COLUMNS plus an integer `segment`, sorted by unique `ts` (bar opens). The result's
    `segment` starts at 0 and grows by one wherever either leg's does. Raises InputError when the legs share no bar.
    """
    ts_a, ts_b = epoch_seconds(bars_a["ts"]), epoch_seconds(bars_b["ts"])
    ts, at_a, at_b = np.intersect1d(ts_a, ts_b, assume_unique=True, return_indices=True)
    if ts.size == 0:
        raise InputError(
            "DATA_PAIR_NO_OVERLAP",
            f"the legs share no bar: {_span(bars_a)} against {_span(bars_b)}",
            where=f"pair {pair_id}",
            remedy="import a common period for both symbols or take the pair out of universe.yaml",
        )
    a, b = bars_a.iloc[at_a], bars_b.iloc[at_b]
    segment_a, segment_b = a["segment"].to_numpy(np.int64), b["segment"].to_numpy(np.int64)
    restart = (np.diff(segment_a) != 0) | (np.diff(segment_b) != 0)
    prices = {
        f"{name}_{leg}": frame[name].to_numpy(np.float64, copy=True)
        for leg, frame in (("a", a), ("b", b))
        for name in ("open", "high", "low", "close")
    }
    return PairBars(
        pair_id=pair_id,
        timeframe_seconds=timeframe_seconds,
        ts=ts,
        **prices,
        filled=a["filled"].to_numpy(np.uint8) + b["filled"].to_numpy(np.uint8),
        spike=a["spike_flag"].to_numpy(np.uint8) + b["spike_flag"].to_numpy(np.uint8),
        segment=np.concatenate(([0], np.cumsum(restart))).astype(np.int64),
    )


def shares_bars(bars_a: pd.DataFrame, bars_b: pd.DataFrame) -> bool:
    """Whether two canonical frames have a `ts` in common."""
    return bool(np.isin(epoch_seconds(bars_a["ts"]), epoch_seconds(bars_b["ts"]), assume_unique=True).any())


def _span(bars: pd.DataFrame) -> str:
    if bars.empty:
        return "no bars"
    return f"{bars['ts'].iloc[0].isoformat()} to {bars['ts'].iloc[-1].isoformat()}"
