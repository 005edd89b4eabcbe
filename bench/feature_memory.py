"""Memory of building features through the cache: 50 pairs of three years of minutes, a month in memory at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench.features import CONFIG, simulated
from bench.measurement import Measurement, compare
from bench.memory import watch_memory
from core.config.loader import load_settings
from core.config.universe import Pair
from core.features.table import FEATURE_COLUMNS
from core.market.pairs import PairBars
from core.stores.feature_cache import build_months

PAIRS = 50
MONTHS = 36
MINUTE = 60
START = np.datetime64("2021-01-01", "M")


def measure(size: int) -> list[Measurement]:
    """Peak resident megabytes of a process of its own that builds `size` bars of each of PAIRS pairs.

    Beside it the bytes of the columns it has computed, which is what a builder that keeps them would hold.
    """
    rows, held = watch_memory("feature_memory", _build, size)
    kept = rows * len(FEATURE_COLUMNS) * 8 / 1e6
    return [compare(held.name, held.unit, held.value.numbers, {f"columns of {rows:,} rows": [kept]})]


def _build(size: int) -> int:
    """Number of rows built."""
    policy = load_settings(CONFIG, "dev").core_policy
    rows = 0
    for number in range(PAIRS):
        folder = Path(tempfile.mkdtemp())
        pair = Pair(id=f"A{number}-B{number}", a=f"A{number}", b=f"B{number}")
        for month in build_months(folder, policy, "1m", pair, _index(), _months(pair.id, size), _refuse):
            rows += len(month.bars)
        shutil.rmtree(folder)
    return rows


def _months(pair_id: str, size: int) -> Iterator[PairBars]:
    """A pair's bars, simulated month by month."""
    for month in range(MONTHS):
        bars = simulated(size // MONTHS, seed=month)
        first = (START + month).astype("datetime64[s]").astype(np.int64)
        ts = first + MINUTE * np.arange(len(bars), dtype=np.int64)
        yield replace(bars, pair_id=pair_id, timeframe_seconds=MINUTE, ts=ts)


def _index() -> pd.DataFrame:
    """An index without partitions."""
    columns = {"symbol": str, "timeframe": str, "year": int, "month": int, "data_hash": str, "admitted": bool}
    return pd.DataFrame(columns=list(columns)).astype(columns)


def _refuse(path: Path, problem: str) -> None:
    raise AssertionError(f"{path}: {problem}")
