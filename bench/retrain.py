"""A full retrain of 30 pairs over 36 months of hours: features, labels, walk-forward of three models, final fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.features import CONFIG
from bench.measurement import Measurement, compare, wall_seconds
from bench.memory import watch_memory
from core.config.loader import load_settings
from core.features.batch import build_features
from core.market.pairs import PairBars
from core.models.learning import plan_learning
from core.models.pooling import pool_pairs
from core.models.walk_forward import walk_forward
from core.models.windows import plan_windows

PAIRS = 30
BARS = 18_600
HOUR = 3600
TRADING_HOURS = 120
WEEK = 7 * 24
HALF_LIFE = 55.0
SPREAD_SD = 36e-4
STEP_SD = 1e-3
START = 1_609_459_200


def measure(size: int) -> list[Measurement]:
    """Wall seconds on the cores the policy gives, and peak megabytes of all processes together; `size` is not used.

    One round, in a process of its own.
    """
    seconds, memory = watch_memory("retrain_memory", _retrain)
    return [compare("retrain_30_pairs_36_months", "s", [seconds], {}), memory]


def _retrain() -> float:
    settings = load_settings(CONFIG, "dev")
    core, retrain = settings.core_policy, settings.retrain_policy
    bars = {pair.pair_id: pair for pair in (reverting_pair(number) for number in range(PAIRS))}

    def run() -> None:
        tables = {pair_id: build_features(pair, core.feature_windows) for pair_id, pair in bars.items()}
        pool = pool_pairs(bars, tables, core, retrain.cross_validation)
        windows = plan_windows(pool.timeline, pool.timeframe_seconds, retrain.walk_forward)
        walk_forward(pool, windows, plan_learning(core, retrain), retrain.workers, lambda *_: None)

    return wall_seconds(run)


def reverting_pair(number: int) -> PairBars:
    """Hourly bars of five-day weeks whose spread is an Ornstein–Uhlenbeck process."""
    random = np.random.default_rng(number)
    phi = 0.5 ** (1.0 / HALF_LIFE)
    shocks = random.normal(0.0, SPREAD_SD * np.sqrt(1.0 - phi**2), BARS)
    spread = np.zeros(BARS)
    for i in range(1, BARS):
        spread[i] = phi * spread[i - 1] + shocks[i]
    walk = np.cumsum(random.normal(0.0, STEP_SD, BARS))
    prices: dict[str, NDArray[np.float64]] = {}
    for leg, close in (("a", np.exp(walk + spread)), ("b", np.exp(walk))):
        opened = np.concatenate((close[:1], close[:-1]))
        above, below = np.abs(random.normal(0.0, STEP_SD / 2.0, (2, BARS)))
        prices |= {
            f"open_{leg}": opened,
            f"high_{leg}": np.maximum(opened, close) * (1.0 + above),
            f"low_{leg}": np.minimum(opened, close) * (1.0 - below),
            f"close_{leg}": close,
        }
    hours = np.arange(BARS, dtype=np.int64)
    none = np.zeros(BARS, dtype=np.uint8)
    return PairBars(
        pair_id=f"P{number:02d}",
        timeframe_seconds=HOUR,
        ts=START + HOUR * (hours // TRADING_HOURS * WEEK + hours % TRADING_HOURS),
        filled=none,
        spike=none,
        segment=np.zeros(BARS, dtype=np.int64),
        **prices,
    )
