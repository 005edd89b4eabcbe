"""`python -m bench.feature_parity`: features taken bar by bar are those of one batch, to the last bit (SPEC FEAT-4).

The live kernel takes each bar by itself and, every so often, goes on from its stored state in a fresh one, as after a
restart. The last line is JSON: simulated_bars, real_bars, pairs, differing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from core.config.core_policy import FeatureWindows
from core.config.loader import load_settings
from core.features.batch import build_features
from core.features.kernels.snapshot import state_from_bytes, state_to_bytes
from core.features.live import LiveFeatures, cut_bars
from core.features.table import FeatureTable
from core.market.alignment import align_pair
from core.market.pairs import PairBars

CONFIG = Path(__file__).parents[1] / "configs"
HOUR = 3600
HISTORY = 100_000
RESTART_BARS = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.feature_parity", description=__doc__)
    parser.add_argument("--bars", type=int, default=1_000_000, help="simulated bars (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of <SYMBOL>.parquet; all pairs of its symbols are compared")
    chosen = parser.parse_args()
    windows = load_settings(CONFIG, "dev").core_policy.feature_windows
    counts = {"simulated_bars": 0, "real_bars": 0, "pairs": 0, "differing": 0}
    for kind, source in (
        ("simulated_bars", simulated_histories(chosen.bars)),
        ("real_bars", real_pairs(chosen.data) if chosen.data else iter(())),
    ):
        for bars in source:
            differing = differing_bars(bars, windows)
            counts[kind] += len(bars)
            counts["pairs"] += 1
            counts["differing"] += differing
            print(f"{bars.pair_id:<16} {len(bars):>9,} bars, {differing} differ")
    print(json.dumps(counts))
    sys.exit(1 if counts["differing"] else 0)


def differing_bars(bars: PairBars, windows: FeatureWindows, restart_bars: int = RESTART_BARS) -> int:
    """Bars at which the live kernel, fed one bar at a time, gives another bit than the batch."""
    whole = _bits(build_features(bars, windows))
    kernel = LiveFeatures(windows)
    differing = 0
    for at in range(len(bars)):
        if at % restart_bars == restart_bars - 1:
            kernel = LiveFeatures(windows, state_from_bytes(state_to_bytes(kernel.snapshot())))
        row = _bits(kernel.take(cut_bars(bars, at, at + 1)))
        differing += row[0].tobytes() != whole[at].tobytes()
    return differing


def simulated_histories(bars: int) -> Iterator[PairBars]:
    """Random walks that share half their moves, HISTORY bars each, with flagged bars and several segments."""
    for number, first in enumerate(range(0, bars, HISTORY)):
        yield simulated_history(min(HISTORY, bars - first), number)


def simulated_history(size: int, seed: int) -> PairBars:
    """One history of two legs; prices stand still for 700 bars now and then."""
    random = np.random.default_rng(seed)
    moving = np.ones(size)
    for start in random.integers(0, size, max(1, size // 20_000)):
        moving[start : start + 700] = 0.0
    common = random.normal(0.0, 5e-4, size)
    prices = {}
    for leg, level in (("a", 1.2), ("b", 130.0)):
        closed = level * np.exp(np.cumsum(moving * (common + random.normal(0.0, 5e-4, size))))
        opened = np.concatenate((closed[:1], closed[:-1]))
        above, below = moving * np.abs(random.normal(0.0, 3e-4, (2, size)))
        prices[leg] = {
            "open": opened,
            "high": np.maximum(opened, closed) * (1.0 + above),
            "low": np.minimum(opened, closed) * (1.0 - below),
            "close": closed,
        }
    return PairBars(
        pair_id=f"simulated {seed}",
        timeframe_seconds=HOUR,
        ts=HOUR * np.arange(size, dtype=np.int64),
        **{f"{name}_{leg}": values for leg, own in prices.items() for name, values in own.items()},
        filled=(random.random(size) < 0.01).astype(np.uint8),
        spike=(random.random(size) < 0.01).astype(np.uint8),
        segment=np.cumsum(random.random(size) < 1e-4).astype(np.int64),
    )


def real_pairs(folder: Path) -> Iterator[PairBars]:
    """Every pair of the symbols in a folder of Parquet files with columns ts, open, high, low, close."""
    files = sorted(folder.glob("*.parquet"))
    frames = {path.stem: pd.read_parquet(path) for path in files}
    for a, b in combinations(frames, 2):
        legs = [frames[name].assign(filled=False, spike_flag=False, segment=0) for name in (a, b)]
        yield align_pair(f"{a}-{b}", HOUR, *legs)


def _bits(table: FeatureTable) -> np.ndarray:
    return np.column_stack((table.values, table.alpha, table.spread_mean, table.spread_sd))


if __name__ == "__main__":
    main()
