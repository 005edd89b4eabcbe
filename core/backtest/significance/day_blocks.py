"""Blocks of consecutive trading days for the circular block bootstrap (Politis and Romano 1992)."""

from __future__ import annotations

import numpy as np

from core.market.pairs import Ints


def resample_days(n_days: int, block_days: int, resamples: int, seed: int) -> Ints:
    """Day numbers (resamples, k·b), k = n_days // b: k circular blocks of b days, first days drawn evenly.

    b is `block_days`, n_days where that is fewer.

    Raises:
        ValueError: a number is not positive.
    """
    if min(n_days, block_days, resamples) < 1:
        raise ValueError("days, block length and resamples must be positive")
    block = min(block_days, n_days)
    count = n_days // block
    first = np.random.default_rng(seed).integers(0, n_days, (resamples, count, 1))
    days = (first + np.arange(block)).reshape(resamples, count * block)
    return (days % n_days).astype(np.int64)
