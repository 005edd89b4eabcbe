"""Bars to try the features on: simulated, and real ones where MARKET_DATA or ../shared/data has them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from core.config.core_policy import FeatureWindows
from core.market.pairs import PairBars

REPOSITORY = Path(__file__).parents[3]


def policy_windows() -> FeatureWindows:
    """Windows of configs/base."""
    content = yaml.safe_load((REPOSITORY / "configs/base/core_policy.yaml").read_text())
    return FeatureWindows(**content["feature_windows"]["value"])


def short_windows() -> FeatureWindows:
    """Windows so short that a few dozen bars fill them all."""
    return FeatureWindows(
        beta=9,
        z=7,
        z_ema=3,
        speed=4,
        atr=3,
        atr_ratio=6,
        half_life=8,
        half_life_max=40.0,
        rho=7,
        rho_var=5,
        beta_stability=6,
        beta_mean_floor=0.05,
        ema_fast=3,
        ema_slow=5,
        slope=4,
        rsi=3,
        dd_recent=6,
        quality=5,
    )


def simulated_bars(n: int, seed: int, level_a: float = 1.3, level_b: float = 130.0, step: float = 1e-3) -> PairBars:
    """Two random walks that share half their moves, with ranges around the closes."""
    random = np.random.default_rng(seed)
    common = random.normal(0.0, step, n)
    walks = [np.cumsum(common + random.normal(0.0, step, n)) for _ in range(2)]
    return make_bars([level_a * np.exp(walks[0]), level_b * np.exp(walks[1])], random=random, spread=step)


def make_bars(
    closes: list[np.ndarray[Any, np.dtype[np.float64]]],
    random: np.random.Generator | None = None,
    spread: float = 0.0,
    segment: np.ndarray[Any, np.dtype[np.int64]] | None = None,
) -> PairBars:
    """Bars with these closes, opening at the close before; flags at random where a generator is given."""
    n = len(closes[0])
    prices: dict[str, Any] = {}
    for leg, close in zip("ab", closes, strict=True):
        opened = np.concatenate((close[:1], close[:-1]))
        above, below = (np.zeros(n), np.zeros(n)) if random is None else np.abs(random.normal(0.0, spread, (2, n)))
        prices |= {
            f"open_{leg}": opened,
            f"high_{leg}": np.maximum(opened, close) * (1 + above),
            f"low_{leg}": np.minimum(opened, close) * (1 - below),
            f"close_{leg}": close,
        }
    flags = np.zeros((2, n), dtype=np.uint8) if random is None else random.integers(0, 3, (2, n)).astype(np.uint8)
    return PairBars(
        pair_id="A-B",
        timeframe_seconds=3600,
        ts=3600 * np.arange(n, dtype=np.int64),
        filled=flags[0],
        spike=flags[1],
        segment=np.zeros(n, dtype=np.int64) if segment is None else segment,
        **prices,
    )


def join_bars(*parts: PairBars) -> PairBars:
    """One pair's bars after another's, with their segments as they are."""
    values: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(PairBars)
        if isinstance(getattr(parts[0], field.name), np.ndarray)
    }
    values["ts"] = 3600 * np.arange(len(values["ts"]), dtype=np.int64)
    return dataclasses.replace(parts[0], **values)


def real_bars(a: str, b: str) -> PairBars:
    """Real hourly bars of two symbols. Skips the test where there are none."""
    folder = Path(os.environ.get("MARKET_DATA", REPOSITORY.parent / "shared" / "data")) / "fx_h1"
    if not folder.is_dir():
        pytest.skip(f"no real bars in {folder}: set MARKET_DATA to a folder that holds fx_h1/")
    legs = [pd.read_parquet(folder / f"{symbol}.parquet").set_index("ts") for symbol in (a, b)]
    shared = legs[0].index.intersection(legs[1].index)
    n = len(shared)
    prices: dict[str, Any] = {
        f"{name}_{leg}": frame.loc[shared, name].to_numpy(np.float64, copy=True)
        for leg, frame in zip("ab", legs, strict=True)
        for name in ("open", "high", "low", "close")
    }
    return PairBars(
        pair_id=f"{a}-{b}",
        timeframe_seconds=3600,
        ts=pd.DatetimeIndex(shared).as_unit("s").asi8.copy(),
        filled=np.zeros(n, dtype=np.uint8),
        spike=np.zeros(n, dtype=np.uint8),
        segment=np.zeros(n, dtype=np.int64),
        **prices,
    )
