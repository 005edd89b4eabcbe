"""When each start is decided and its label known, worked out from the bars and from nothing the folds are cut with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.config.retrain_policy import CrossValidation
from core.market.pairs import Ints, PairBars
from core.models.samples import Pool


@dataclass(frozen=True)
class SampleTimes:
    """Epoch seconds UTC, int64 (n,) over the rows of the pool; all are closes of bars of the row's own pair.

    Attributes:
        decided: bar t.
        known: bar t + M, at which the label is known.
        purged: bar t + M + purge_bars.
        embargoed: bar t − embargo_bars.
    """

    decided: Ints
    known: Ints
    purged: Ints
    embargoed: Ints


def sample_times(
    pool: Pool, bars: Mapping[str, PairBars], horizon_bars: int, validation: CrossValidation
) -> SampleTimes:
    """Times of every row of the pool; beyond either end of a pair's data bars go on at the time frame's pace."""
    times = SampleTimes(*(np.empty(len(pool.samples), dtype=np.int64) for _ in range(4)))
    for number, pair_id in enumerate(pool.pair_ids):
        own = np.flatnonzero(pool.samples.pair == number)
        pair, at = bars[pair_id], pool.samples.bar[own]
        last = at + horizon_bars
        times.decided[own] = _close(pair, at)
        times.known[own] = _close(pair, last)
        times.purged[own] = _close(pair, last + validation.purge_bars)
        times.embargoed[own] = _close(pair, at - validation.embargo_bars)
    return times


def _close(bars: PairBars, at: Ints) -> Ints:
    length, final = bars.timeframe_seconds, len(bars) - 1
    beyond = np.maximum(at - final, 0) + np.minimum(at, 0)
    return np.asarray(bars.ts[np.minimum(np.maximum(at, 0), final)] + length * (1 + beyond), dtype=np.int64)
