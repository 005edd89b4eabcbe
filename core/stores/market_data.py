"""Canonical bars of the partitions a run's index admits; the only way to them (SPEC CAT-2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from core.config.settings import Settings
from core.errors import InputError
from core.market.alignment import align_pair
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
    lake = Lake(roots.canonical)
    keys = [PartitionKey(timeframe, symbol, f"{row.year}-{row.month:02d}") for row in used.itertuples()]
    tables = [lake.table(key) for key in keys]
    for key, table, expected in zip(keys, tables, used["data_hash"], strict=True):
        if content_hash(table) != expected:
            raise InputError(
                "LAKE_PARTITION_CHANGED",
                "the partition's bars are not the ones the run's index names",
                where=str(lake.folder(key)),
                remedy="run catalog again after an import; run ingest again if the files were damaged",
            )
    bars = bars_frame(pa.concat_tables(tables))
    lengths = [table.num_rows for table in tables]
    months = used["year"].to_numpy() * 12 + used["month"].to_numpy()
    segment = np.concatenate(([0], np.cumsum(np.diff(months) != 1))).astype(np.int64)
    bars["segment"] = np.repeat(segment, lengths)
    last = np.repeat(used["last_ts"].to_numpy(dtype="datetime64[us]"), lengths)
    return bars[bars["ts"].to_numpy(dtype="datetime64[us]") <= last].reset_index(drop=True)


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
