"""All features of one pair, beside the same columns in pandas and polars (SPEC FEAT-1, FEAT-4)."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.features_pandas import pandas_features
from bench.features_polars import polars_features
from bench.measurement import Measurement, Work, compare, side_by_side
from bench.memory import Job, memory_beside
from core.config.core_policy import FeatureWindows
from core.config.loader import load_settings
from core.features.batch import build_features
from core.features.live import LiveFeatures, cut_bars
from core.features.table import FEATURE_COLUMNS
from core.market.pairs import PairBars

CONFIG = Path(__file__).parents[1] / "configs"
LIVE_BARS = 2_000
MINUTES_A_MONTH = 30 * 24 * 60
FEW_BARS = 5_000
ROUNDS = 7

Build = Callable[[PairBars, FeatureWindows], object]

PEERS: dict[str, Callable[[PairBars, FeatureWindows], dict[str, NDArray[np.float64]]]] = {
    "pandas": pandas_features,
    "polars": polars_features,
}


def measure(size: int) -> list[Measurement]:
    """Nanoseconds a pair and bar, over `size` bars by month, in one batch and bar by bar, and the memory of a batch.

    Raises:
        AssertionError: a peer computes other columns than ours, which would make the comparison void.
    """
    windows = load_settings(CONFIG, "dev").core_policy.feature_windows
    bars = simulated(size)
    _same(bars, windows)
    live = LiveFeatures(windows)
    live.take(cut_bars(bars, 0, size - LIVE_BARS))
    single = [cut_bars(bars, i, i + 1) for i in range(size - LIVE_BARS, size)]
    bar_by_bar = Work(lambda: [live.take(bar) for bar in single], LIVE_BARS)
    ours = {"features_by_month": _build_by_month, "features_batch": build_features}
    peers = {name: Work(partial(build, bars, windows), size) for name, build in PEERS.items()}
    return [
        *(
            side_by_side(name, "ns/bar", Work(partial(build, bars, windows), size), peers, rounds=ROUNDS, scale=1e9)
            for name, build in ours.items()
        ),
        memory_beside("features_memory", _job(build_features, size), {n: _job(b, size) for n, b in PEERS.items()}),
        side_by_side("features_live", "ns/bar", bar_by_bar, {}, rounds=ROUNDS, scale=1e9),
        _two_processes(size),
    ]


def _build_by_month(bars: PairBars, windows: FeatureWindows) -> None:
    """As the feature cache builds them: one month after the other from the state before, none kept in memory."""
    live = LiveFeatures(windows)
    for start in range(0, len(bars), MINUTES_A_MONTH):
        live.take(cut_bars(bars, start, min(len(bars), start + MINUTES_A_MONTH)))


def _job(build: Build, size: int) -> Job:
    return Job(_building, (build, size))


def _building(build: Build, size: int) -> Callable[[], object]:
    return partial(build, simulated(size), load_settings(CONFIG, "dev").core_policy.feature_windows)


def _two_processes(size: int) -> Measurement:
    """Wall time a bar where two processes build a pair each, beside one process: 2 is all a second core can give."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as executor:
        _seconds(executor, size, 2)
        taken = [(_seconds(executor, size, 2) / 2, _seconds(executor, size, 1)) for _ in range(ROUNDS)]
    both, alone = ([1e9 * seconds / size for seconds in each] for each in zip(*taken, strict=True))
    return compare("features_two_processes", "ns/bar", both, {"one process": alone})


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
    few = cut_bars(bars, 0, FEW_BARS)
    table = build_features(few, windows)
    for build in PEERS.values():
        columns = build(few, windows)
        for name in FEATURE_COLUMNS:
            np.testing.assert_allclose(columns[name], table.column(name), rtol=1e-4, atol=1e-6, err_msg=name)
