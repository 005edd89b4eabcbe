"""The lake's index: what every partition says of itself (SPEC CAT-2), and the filtered one a run uses (CAT-3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.config.pipeline_policy import DqThresholds
from core.errors import InputError
from core.market.bars import TS_DTYPE
from core.quality.admission import ADMITTED, Exclusion, Window
from core.stores.files import write_bytes, write_json
from core.stores.lake import Lake
from core.stores.partition import parquet_bytes

INDEX_SCHEMA: Final = pa.schema(
    [
        ("timeframe", pa.string()),
        ("symbol", pa.string()),
        ("year", pa.int64()),
        ("month", pa.int64()),
        ("last_ts", pa.timestamp("us", tz="UTC")),
        *(
            (name, pa.int64())
            for name in ("bars_written", "missing_gaps", "filled_bars", "outlier_bars", "spike_flags")
        ),
        ("quarantine_flag", pa.bool_()),
        ("data_hash", pa.string()),
        (ADMITTED, pa.bool_()),
    ]
)


def build_index(lake: Lake, timeframe: str) -> pd.DataFrame:
    """INDEX_COLUMNS of every partition of a time frame, by symbol and month.

    Raises InputError where the lake has none, or a `__meta.json` is unreadable.
    """
    rows = [_row(lake.meta(key), quarantined=lake.quarantined(key)) for key in lake.keys(timeframe)]
    if not rows:
        raise InputError(
            "CATALOG_LAKE_EMPTY",
            f"the lake holds no bars of time frame {timeframe}",
            where=str(lake.root / timeframe),
            remedy="run ingest first",
        )
    frame = pd.DataFrame(rows)
    frame["last_ts"] = pd.to_datetime(frame["last_ts"], utc=True).astype(TS_DTYPE)
    return frame


def _row(meta: dict[str, Any], *, quarantined: bool) -> dict[str, Any]:
    return {
        **{name: meta[name] for name in ("timeframe", "symbol", "year", "month", "last_ts")},
        **meta["counts"],
        "quarantine_flag": quarantined,
        "data_hash": meta["data_hash"],
    }


def write_index(index: pd.DataFrame, path: Path) -> None:
    """Write dataset_index.parquet (INDEX_COLUMNS and `admitted`), whole or not at all."""
    table = pa.Table.from_pandas(index, schema=INDEX_SCHEMA, preserve_index=False).replace_schema_metadata(None)
    write_bytes(path, parquet_bytes(table))


def read_index(source: Path | BinaryIO) -> pd.DataFrame:
    """Read dataset_index.parquet. Raises InputError where it is absent or unreadable."""
    try:
        frame: pd.DataFrame = pq.ParquetFile(source).read(use_threads=False).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            "CATALOG_INDEX_UNREADABLE",
            f"the run's index cannot be read: {' '.join(str(error).split())[:200]}",
            where=str(source) if isinstance(source, Path) else "dataset_index.parquet of a bundle",
            remedy="run catalog again",
        ) from error
    return frame


def write_filtered(
    path: Path, index: pd.DataFrame, exclusions: Sequence[Exclusion], window: Window, thresholds: DqThresholds
) -> None:
    """Write dataset_index_filtered.json: the window, the limits, and each month left out with its reason."""
    write_json(
        path,
        {
            "window": {
                "first_month": window.first_month,
                "last_month": window.last_month,
                "last_open": window.last_open.isoformat(),
            },
            "thresholds": {"missing_rate": thresholds.missing_rate, "outlier_rate": thresholds.outlier_rate},
            "partitions": len(index),
            "admitted": int(index[ADMITTED].sum()),
            "excluded": [asdict(exclusion) for exclusion in exclusions],
        },
    )


def data_hash(index: pd.DataFrame) -> str:
    """Hex SHA-256 over the partitions a run uses: where they lie, their content, and how far they are used."""
    used = index[index[ADMITTED]].sort_values(["timeframe", "symbol", "year", "month"])
    digest = hashlib.sha256()
    columns = (used[name] for name in ("timeframe", "symbol", "year", "month", "data_hash", "last_ts"))
    for timeframe, symbol, year, month, content, last in zip(*columns, strict=True):
        digest.update(f"{timeframe}/{symbol}/{year}-{month:02d} {content} {pd.Timestamp(last).isoformat()}\n".encode())
    return digest.hexdigest()
