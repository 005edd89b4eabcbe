"""Month partitions kept for as long as a model may have to be rebuilt from them (SPEC DATA-5, TRN-4).

snapshots_root/{timeframe}/{symbol}/{YYYY-MM}/{data_hash}.parquet is a `bars.parquet` under the hash of its content. It
is a hard link where the disk has them, so it takes no room until the lake replaces the partition.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.quality.admission import ADMITTED
from core.stores.files import disk_errors, write_bytes
from core.stores.lake import Lake
from core.stores.partition import BARS, PartitionKey, content_hash


@dataclass(frozen=True)
class Supply:
    """Where the bars of a recorded partition come from; `lake_hash` is what the lake holds now, None without it."""

    key: PartitionKey
    recorded_hash: str
    lake_hash: str | None
    source: Literal["lake", "snapshot", "nowhere"]


def keep_partitions(lake: Lake, snapshots_root: Path, index: pd.DataFrame) -> int:
    """Keep the partitions an index admits. Call it while holding the lake's lock.

    Returns:
        How many were not kept before.

    Raises:
        TransientError: the disk is full or fails.
    """
    kept = 0
    for key, data_hash in _used(index):
        target = _snapshot(snapshots_root, key, data_hash)
        if not target.is_file():
            _link(lake.folder(key) / BARS, target)
            kept += 1
    return kept


def supply_partitions(lake: Lake, snapshots_root: Path, index: pd.DataFrame, target_root: Path) -> tuple[Supply, ...]:
    """Lay a lake out below `target_root` that holds the bars an index recorded and no others.

    Each partition comes from the lake where it still has the recorded content, else from the snapshot; it is checked
    where it is laid. What is found nowhere is not laid out.

    Returns:
        One entry an admitted partition, by symbol and month.
    """
    return tuple(
        _supply(lake, snapshots_root, key, data_hash, Lake(target_root).folder(key) / BARS)
        for key, data_hash in _used(index)
    )


def _supply(lake: Lake, snapshots_root: Path, key: PartitionKey, data_hash: str, target: Path) -> Supply:
    lake_hash = _lay(lake.folder(key) / BARS, target)
    if lake_hash == data_hash:
        return Supply(key, data_hash, lake_hash, "lake")
    target.unlink(missing_ok=True)
    if _lay(_snapshot(snapshots_root, key, data_hash), target) == data_hash:
        return Supply(key, data_hash, lake_hash, "snapshot")
    target.unlink(missing_ok=True)
    return Supply(key, data_hash, lake_hash, "nowhere")


def _used(index: pd.DataFrame) -> Iterator[tuple[PartitionKey, str]]:
    used = index[index[ADMITTED]].sort_values(["timeframe", "symbol", "year", "month"])
    columns = (used[name] for name in ("timeframe", "symbol", "year", "month", "data_hash"))
    for timeframe, symbol, year, month, data_hash in zip(*columns, strict=True):
        yield PartitionKey(timeframe, symbol, f"{year}-{month:02d}"), data_hash


def _snapshot(root: Path, key: PartitionKey, data_hash: str) -> Path:
    return root / key.folder / f"{data_hash}.parquet"


def _lay(source: Path, target: Path) -> str | None:
    """Link a file to its place; the content hash it has there, None where it is absent or unreadable."""
    if not source.is_file():
        return None
    _link(source, target)
    try:
        return content_hash(pq.ParquetFile(target).read(use_threads=False))
    except (pa.ArrowInvalid, OSError, KeyError):
        return None


def _link(source: Path, target: Path) -> None:
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        write_bytes(target, source.read_bytes())
