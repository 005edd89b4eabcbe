"""The bars two legs share, as the arrays every kernel reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.uint8]


@dataclass(frozen=True)
class PairBars:
    """Bars of a pair: the n timestamps both legs have after data quality.

    `ts` is each bar's **open** in epoch seconds UTC, strictly increasing; a bar is known at `ts + timeframe`.
    Prices are float64 (n,) in quote currency. `filled` and `spike` count the legs (0, 1, 2) that are filled or flagged.
    `segment` (int64) grows by one where history restarts (after a partition left out); no window spans two segments.
    """

    pair_id: str
    timeframe_seconds: int
    ts: Ints
    open_a: Floats
    high_a: Floats
    low_a: Floats
    close_a: Floats
    open_b: Floats
    high_b: Floats
    low_b: Floats
    close_b: Floats
    filled: Counts
    spike: Counts
    segment: Ints

    def __len__(self) -> int:
        return int(self.ts.shape[0])
