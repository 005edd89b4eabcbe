"""Bars around a path of closes."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from core.market.pairs import Floats, Ints

_OPEN_NOISE: Final = 0.05
_TYPICAL_VOLUME: Final = 2000.0
_VOLUME_SPREAD: Final = 0.5


def candles(
    log_close: Floats, sigma: Floats, open_shocks: Floats, extreme_draws: tuple[Floats, Floats], tick_size: float
) -> Floats:
    """Open, high, low, close, float64 (n, 4), on whole ticks.

    The open is the previous close with a little noise; high and low are the extremes of a Brownian bridge from open to
    close with the bar's volatility `sigma`, drawn by inversion from `extreme_draws` (high, low) in [0, 1).
    """
    log_open = np.concatenate((log_close[:1], log_close[:-1])) + _OPEN_NOISE * sigma * open_shocks
    high_draws, low_draws = extreme_draws
    move = log_close - log_open
    up = 0.5 * (move + np.sqrt(move**2 - 2.0 * sigma**2 * np.log1p(-high_draws)))
    down = 0.5 * (move - np.sqrt(move**2 - 2.0 * sigma**2 * np.log1p(-low_draws)))
    return on_ticks(np.exp(np.column_stack((log_open, log_open + up, log_open + down, log_close))), tick_size)


def plant_bad_ticks(ohlc: Floats, at: Ints, offsets: Floats, tick_size: float) -> None:
    """Move the closes at bars `at` (k,) by the log `offsets` (k,) in place; high and low reach out to them."""
    ohlc[at, 3] = on_ticks(ohlc[at, 3] * np.exp(offsets), tick_size)
    ohlc[at, 1] = np.maximum(ohlc[at, 1], ohlc[at, 3])
    ohlc[at, 2] = np.minimum(ohlc[at, 2], ohlc[at, 3])


def on_ticks(prices: Floats, tick_size: float) -> Floats:
    """Prices rounded to whole ticks, at least one."""
    decimals = max(0, 1 - math.floor(math.log10(tick_size)))
    return np.asarray(np.round(np.maximum(np.rint(prices / tick_size), 1.0) * tick_size, decimals), dtype=np.float64)


def volumes(sigma: Floats, shocks: Floats) -> Floats:
    """Whole volumes of at least 1, float64 (n,), larger when the market moves more."""
    activity = sigma / np.mean(sigma)
    return np.asarray(np.maximum(1.0, np.rint(_TYPICAL_VOLUME * activity * np.exp(_VOLUME_SPREAD * shocks))))
