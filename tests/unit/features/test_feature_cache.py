"""The cache gives the bits of a run through, computes only what changed, and mends what is damaged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.config.core_policy import CorePolicy, FeatureWindows
from core.config.loader import load_settings
from core.config.universe import Pair
from core.features.batch import build_features
from core.features.live import cut_bars
from core.market.pairs import PairBars
from core.stores.feature_cache import CachedFeatures, load_or_build
from tests.unit.features.bars import REPOSITORY, short_windows, simulated_bars

HOURS = 24 * (31 + 29 + 31 + 10)
"""Hourly bars from 1 January to 10 April 2024: four months, the last one growing."""
START = 1_704_067_200
PAIR = Pair(id="A-B", a="A", b="B")


@pytest.fixture(scope="module")
def policy() -> CorePolicy:
    settings = load_settings(REPOSITORY / "configs", "dev")
    return settings.core_policy.model_copy(update={"feature_windows": short_windows()})


@pytest.fixture(scope="module")
def bars() -> PairBars:
    found = simulated_bars(HOURS, seed=11)
    return dataclasses.replace(found, ts=START + found.ts)


@pytest.fixture
def index() -> pd.DataFrame:
    rows = [
        {
            "timeframe": "1h",
            "symbol": symbol,
            "year": 2024,
            "month": month,
            "last_ts": pd.Timestamp(2024, month, 10, tz="UTC"),
            "data_hash": f"{symbol}{month}",
            "admitted": True,
        }
        for symbol in "ABC"
        for month in (1, 2, 3, 4)
    ]
    return pd.DataFrame(rows)


class Cache:
    """A cache folder and what it complained of."""

    def __init__(self, root: Path, policy: CorePolicy) -> None:
        self.root, self.policy = root, policy
        self.damaged: list[tuple[Path, str]] = []

    def get(self, index: pd.DataFrame, bars: PairBars, policy: CorePolicy | None = None) -> CachedFeatures:
        found = load_or_build(
            self.root, policy or self.policy, "1h", PAIR, index, bars, lambda *what: self.damaged.append(what)
        )
        whole = build_features(bars, (policy or self.policy).feature_windows)
        assert found.table.values.tobytes() == whole.values.tobytes()
        for name in ("alpha", "spread_mean", "spread_sd", "ts", "segment"):
            np.testing.assert_array_equal(getattr(found.table, name), getattr(whole, name))
        return found

    def files(self) -> dict[Path, bytes]:
        return {path.relative_to(self.root): path.read_bytes() for path in sorted(self.root.rglob("*.parquet"))}


@pytest.fixture
def cache(tmp_path: Path, policy: CorePolicy) -> Cache:
    return Cache(tmp_path / "features", policy)


def counts(found: CachedFeatures) -> tuple[int, int]:
    return found.months_computed, found.months_cached


def test_months_are_kept_and_found_again(cache: Cache, index: pd.DataFrame, bars: PairBars) -> None:
    assert counts(cache.get(index, bars)) == (4, 0)
    assert [path.parts[:3] for path in cache.files()] == [("1h", "A-B", f"2024-0{month}") for month in (1, 2, 3, 4)]
    assert counts(cache.get(index, bars)) == (0, 4)
    assert not cache.damaged


def test_new_bars_compute_only_the_month_they_are_in(cache: Cache, index: pd.DataFrame, bars: PairBars) -> None:
    cache.get(index, cut_bars(bars, 0, HOURS - 30))
    grown = index.replace({"data_hash": {"B4": "B4-grown"}})
    assert counts(cache.get(grown, bars)) == (1, 3)


def test_a_restated_month_changes_it_and_all_after_it(cache: Cache, index: pd.DataFrame, bars: PairBars) -> None:
    cache.get(index, bars)
    close = bars.close_a.copy()
    close[24 * 40] *= 1.01
    restated = index.replace({"data_hash": {"A2": "A2-restated"}})
    assert counts(cache.get(restated, dataclasses.replace(bars, close_a=close))) == (3, 1)


def test_another_symbol_s_month_changes_nothing(cache: Cache, index: pd.DataFrame, bars: PairBars) -> None:
    cache.get(index, bars)
    assert counts(cache.get(index.replace({"data_hash": {"C1": "C1-restated"}}), bars)) == (0, 4)


def test_a_month_left_out_restarts_the_history_after_it(cache: Cache, index: pd.DataFrame, bars: PairBars) -> None:
    cache.get(index, bars)
    without = index.assign(admitted=~((index["symbol"] == "A") & (index["month"] == 2)))
    january, march = 24 * 31, 24 * (31 + 29)
    keep = np.r_[0:january, march:HOURS]
    values = {
        field.name: getattr(bars, field.name)[keep]
        for field in dataclasses.fields(bars)
        if isinstance(getattr(bars, field.name), np.ndarray)
    }
    values["segment"] = (keep >= march).astype(np.int64)
    assert counts(cache.get(without, dataclasses.replace(bars, **values))) == (2, 1)


def test_a_longer_history_starts_anew(cache: Cache, index: pd.DataFrame, bars: PairBars) -> None:
    cache.get(index[index["month"] > 1], cut_bars(bars, 24 * 31, HOURS))
    assert counts(cache.get(index, bars)) == (4, 0)


def test_other_windows_find_nothing(cache: Cache, index: pd.DataFrame, bars: PairBars, policy: CorePolicy) -> None:
    cache.get(index, bars)
    windows = FeatureWindows(**{**short_windows().model_dump(), "rsi": 5})
    assert counts(cache.get(index, bars, policy.model_copy(update={"feature_windows": windows}))) == (4, 0)


def test_scaling_and_model_inputs_leave_the_cache_valid(
    cache: Cache, index: pd.DataFrame, bars: PairBars, policy: CorePolicy
) -> None:
    cache.get(index, bars)
    assert counts(cache.get(index, bars, policy.model_copy(update={"model_inputs": ("z",)}))) == (0, 4)


def test_files_are_the_same_bytes_wherever_they_are_made(
    cache: Cache, index: pd.DataFrame, bars: PairBars, tmp_path: Path, policy: CorePolicy
) -> None:
    cache.get(index, bars)
    other = Cache(tmp_path / "elsewhere", policy)
    other.get(index[index["month"] < 3], cut_bars(bars, 0, 24 * 60))
    other.get(index, bars)
    assert other.files() == cache.files()


@pytest.mark.parametrize("place", [0.05, 0.3, 0.6, 0.9, 0.9999])
def test_a_flipped_byte_is_noticed_and_mended(cache: Cache, index: pd.DataFrame, bars: PairBars, place: float) -> None:
    cache.get(index, bars)
    whole = cache.files()
    victim = next(iter(whole))
    content = bytearray(whole[victim])
    content[int(place * len(content))] ^= 0xFF
    (cache.root / victim).write_bytes(content)
    found = cache.get(index, bars)
    assert found.months_computed == len(cache.damaged)
    assert cache.files() == whole or not cache.damaged


@pytest.mark.parametrize("kept", [0, 3, 1000])
def test_a_truncated_file_is_noticed_and_mended(cache: Cache, index: pd.DataFrame, bars: PairBars, kept: int) -> None:
    cache.get(index, bars)
    whole = cache.files()
    victim = list(whole)[2]
    (cache.root / victim).write_bytes(whole[victim][:kept])
    assert counts(cache.get(index, bars)) == (1, 3)
    assert [path for path, _ in cache.damaged] == [cache.root / victim]
    assert cache.files() == whole


def test_a_file_of_another_month_is_noticed(cache: Cache, index: pd.DataFrame, bars: PairBars) -> None:
    cache.get(index, bars)
    first, second, *_ = cache.files()
    (cache.root / second).write_bytes((cache.root / first).read_bytes())
    assert counts(cache.get(index, bars)) == (1, 3)
    assert "2024-02" in str(cache.damaged[0][0])
