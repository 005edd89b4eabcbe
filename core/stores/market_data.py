"""Canonical bars of the partitions a run's index admits; the only way to them (SPEC CAT-2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from core.config.settings import Settings
from core.config.universe import Pair
from core.errors import InputError
from core.market.alignment import align_pair, shares_bars
from core.market.pairs import PairBars
from core.market.timeframe import timeframe_seconds
from core.quality.admission import ADMITTED
from core.stores.lake import Lake
from core.stores.partition import PartitionKey, bars_frame, content_hash
from core.stores.roots import StorageRoots


def load_symbol(roots: StorageRoots, settings: Settings, index: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """CANONICAL_COLUMNS of a symbol and `segment` (int64), sorted by ts; segments count from 0.

    A segment ends where a month is left out or not there, so that no window bridges it.

    Args:
        index: the run's dataset_index.parquet.

    Raises:
        InputError: the index admits no partition of the symbol; a partition is unreadable or no longer the indexed one.
    """
    months = [bars for _, bars in symbol_months(roots, settings, index, symbol)]
    return pd.concat(months, ignore_index=True)


def symbol_months(
    roots: StorageRoots, settings: Settings, index: pd.DataFrame, symbol: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """What `load_symbol` loads, a month (YYYY-MM) at a time, in order; one month is in memory at once.

    Raises as `load_symbol` does.
    """
    timeframe = settings.pipeline_policy.timeframe_default
    used = index[index[ADMITTED] & (index["symbol"] == symbol) & (index["timeframe"] == timeframe)]
    used = used.sort_values(["year", "month"])
    if used.empty:
        raise InputError(
            "CATALOG_SYMBOL_EMPTY",
            f"the run's index admits no partition of {symbol}",
            where=f"{timeframe}/{symbol}",
            remedy="dataset_index_filtered.json of the run says why; import better bars and run catalog again",
        )
    lasts = used["last_ts"].to_numpy(dtype="datetime64[us]")
    numbers = used["year"].to_numpy() * 12 + used["month"].to_numpy()
    segments = np.concatenate(([0], np.cumsum(np.diff(numbers) != 1)))
    lake = Lake(roots.canonical)
    for row, segment, last in zip(used.itertuples(), segments.tolist(), lasts, strict=True):
        key = PartitionKey(timeframe, symbol, f"{row.year}-{row.month:02d}")
        table = lake.table(key)
        if content_hash(table) != row.data_hash:
            raise InputError(
                "LAKE_PARTITION_CHANGED",
                "the partition's bars are not the ones the run's index names",
                where=str(lake.folder(key)),
                remedy="run catalog again after an import; run ingest again if the files were damaged",
            )
        bars = bars_frame(table)
        bars["segment"] = np.int64(segment)
        yield key.month, bars[bars["ts"].to_numpy(dtype="datetime64[us]") <= last].reset_index(drop=True)


def pair_months(roots: StorageRoots, settings: Settings, index: pd.DataFrame, pair: Pair) -> Iterator[PairBars]:
    """The bars `load_pairs` gives of one pair, in its months with a shared bar; two months are in memory at once.

    Raises InputError for legs that share no bar, or what `load_symbol` raises.
    """
    seconds = timeframe_seconds(settings.pipeline_policy.timeframe_default)
    leg_a, leg_b = (symbol_months(roots, settings, index, symbol) for symbol in (pair.a, pair.b))
    month_a, month_b = next(leg_a, None), next(leg_b, None)
    segment, before = -1, None
    while month_a is not None and month_b is not None:
        (name_a, bars_a), (name_b, bars_b) = month_a, month_b
        if name_a == name_b and shares_bars(bars_a, bars_b):
            found = align_pair(pair.id, seconds, bars_a, bars_b)
            joined = (int(bars_a["segment"].iloc[0]), int(bars_b["segment"].iloc[0]))
            segment, before = segment + (joined != before), joined
            yield replace(found, segment=np.full(len(found), segment, dtype=np.int64))
        month_a = next(leg_a, None) if name_a <= name_b else month_a
        month_b = next(leg_b, None) if name_b <= name_a else month_b
    if before is None:
        align_pair(pair.id, seconds, *(load_symbol(roots, settings, index, leg) for leg in (pair.a, pair.b)))


def load_pairs(
    roots: StorageRoots, settings: Settings, index: pd.DataFrame, pair_ids: Sequence[str] | None
) -> dict[str, PairBars]:
    """Aligned bars by pair id, in the universe's order; all pairs where `pair_ids` is None.

    Raises InputError for an unknown pair, legs that share no bar, or what `load_symbol` raises.
    """
    pairs = {pair.id: pair for pair in settings.universe.pairs}
    unknown = [pair_id for pair_id in pair_ids or () if pair_id not in pairs]
    if unknown:
        raise InputError(
            "CATALOG_PAIR_UNKNOWN",
            f"no pair {', '.join(unknown)}",
            where="universe.yaml, pairs",
            remedy=f"choose among {', '.join(pairs)}",
        )
    chosen = [pair for pair in pairs.values() if pair_ids is None or pair.id in pair_ids]
    symbols = sorted({leg for pair in chosen for leg in (pair.a, pair.b)})
    bars = {symbol: load_symbol(roots, settings, index, symbol) for symbol in symbols}
    seconds = timeframe_seconds(settings.pipeline_policy.timeframe_default)
    return {pair.id: align_pair(pair.id, seconds, bars[pair.a], bars[pair.b]) for pair in chosen}
