"""All features of one pair, beside the same columns in pandas and polars (SPEC FEAT-1, FEAT-4)."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.features_pandas import pandas_features
from bench.features_polars import polars_features
from bench.measurement import Measurement, best_seconds
from core.config.core_policy import FeatureWindows
from core.config.loader import load_settings
from core.features.batch import build_features
from core.features.live import LiveFeatures, cut_bars
from core.features.table import FEATURE_COLUMNS
from core.market.pairs import PairBars

CONFIG = Path(__file__).parents[1] / "configs"
LIVE_BARS = 2_000


def measure(size: int) -> list[Measurement]:
    """Nanoseconds a pair and bar, over `size` bars in one batch and bar by bar.

    Raises:
        AssertionError: a peer computes other columns than ours, which would make the comparison void.
    """
    windows = load_settings(CONFIG, "dev").core_policy.feature_windows
    bars = simulated(size)
    _same(bars, windows)
    ours = best_seconds(lambda: build_features(bars, windows), 5)
    peers = {
        "pandas": best_seconds(lambda: pandas_features(bars, windows), 2),
        "polars": best_seconds(lambda: polars_features(bars, windows), 2),
    }
    live = LiveFeatures(windows)
    live.take(cut_bars(bars, 0, size - LIVE_BARS))
    single = [cut_bars(bars, i, i + 1) for i in range(size - LIVE_BARS, size)]
    step = best_seconds(lambda: [live.take(bar) for bar in single], 3)
    return [
        Measurement(
            "features_batch", 1e9 * ours / size, "ns/bar", {name: taken / ours for name, taken in peers.items()}
        ),
        Measurement("features_live", 1e9 * step / LIVE_BARS, "ns/bar", {}),
        _two_processes(size),
    ]


def _two_processes(size: int) -> Measurement:
    """Wall time a bar where two processes build a pair each, beside one process: 2 is all a second core can give."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as executor:
        alone = both = float("inf")
        for _ in range(4):
            alone = min(alone, _seconds(executor, size, 1))
            both = min(both, _seconds(executor, size, 2) / 2)
    return Measurement("features_two_processes", 1e9 * both / size, "ns/bar", {"one process": alone / both})


def _seconds(executor: ProcessPoolExecutor, size: int, pairs: int) -> float:
    """From the first start to the last end, as the processes saw it."""
    times = [job.result() for job in [executor.submit(_build_once, size) for _ in range(pairs)]]
    return max(end for _, end in times) - min(start for start, _ in times)


def _build_once(size: int) -> tuple[float, float]:
    """When building a pair's features started and ended; the bars are made before."""
    bars, windows = _kept(size), load_settings(CONFIG, "dev").core_policy.feature_windows
    start = time.perf_counter()
    build_features(bars, windows)
    return start, time.perf_counter()


@cache
def _kept(size: int) -> PairBars:
    return simulated(size)


def simulated(size: int, seed: int = 20240101) -> PairBars:
    """Two random walks that share half their moves, hourly in size, with ranges around the closes."""
    random = np.random.default_rng(seed)
    common = random.normal(0.0, 5e-4, size)
    prices: dict[str, NDArray[np.float64]] = {}
    for leg in "ab":
        close = np.exp(np.cumsum(common + random.normal(0.0, 5e-4, size)))
        opened = np.concatenate((close[:1], close[:-1]))
        above, below = np.abs(random.normal(0.0, 3e-4, (2, size)))
        prices |= {
            f"open_{leg}": opened,
            f"high_{leg}": np.maximum(opened, close) * (1.0 + above),
            f"low_{leg}": np.minimum(opened, close) * (1.0 - below),
            f"close_{leg}": close,
        }
    return PairBars(
        pair_id="A-B",
        timeframe_seconds=3600,
        ts=3600 * np.arange(size, dtype=np.int64),
        filled=(random.random(size) < 0.01).astype(np.uint8),
        spike=(random.random(size) < 0.01).astype(np.uint8),
        segment=np.zeros(size, dtype=np.int64),
        **prices,
    )


def _same(bars: PairBars, windows: FeatureWindows) -> None:
    few = cut_bars(bars, 0, 5_000)
    table = build_features(few, windows)
    for peer in (pandas_features(few, windows), polars_features(few, windows)):
        for name in FEATURE_COLUMNS:
            np.testing.assert_allclose(peer[name], table.column(name), rtol=1e-4, atol=1e-6, err_msg=name)
