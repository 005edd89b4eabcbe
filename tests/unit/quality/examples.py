"""Small worked inputs of the quality tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.config.pipeline_policy import DqThresholds
from core.market.bars import raw_bars

HOUR = 3600
THRESHOLDS = DqThresholds(
    max_filled_gap_bars=2,
    outlier_sigma=8.0,
    outlier_window_bars=480,
    outlier_min_bars=120,
    max_unfilled_gaps=0,
    missing_rate=0.02,
    outlier_rate=0.01,
    min_partition_bars=1,
    min_history_bars=1,
    owner="data-oncall",
)


def bars(ts: Sequence[int] | NDArray[np.int64], close: Sequence[float] | NDArray[np.float64]) -> pd.DataFrame:
    """Raw bars with these opens (epoch seconds) and closes; every bar opens at the close before it."""
    closes = np.array(close, dtype=np.float64)
    opens = np.concatenate((closes[:1], closes[:-1]))
    ohlc = np.column_stack((opens, np.maximum(opens, closes) * 1.001, np.minimum(opens, closes) * 0.999, closes))
    return raw_bars(np.array(ts, dtype=np.int64), ohlc, np.full(closes.size, 5.0))


def walk(n: int, seed: int = 1, sigma: float = 0.001) -> NDArray[np.float64]:
    """Closes of a random walk around 100."""
    steps = np.random.default_rng(seed).normal(0.0, sigma, n)
    return np.asarray(100.0 * np.exp(np.cumsum(steps)))
