"""One month of a symbol's canonical bars: its files, their content and its hash (SPEC DATA-4).

canonical/{timeframe}/{symbol}/{YYYY-MM}/
    bars.parquet          CANONICAL_COLUMNS, Snappy
    __meta.json           counts, first_ts, last_ts, data_hash
    __provenance.parquet  source, fetched_at, ingest_run_id and price_side of each bar; outside data_hash
    __quarantine.json     only where the month is quarantined: reason, threshold, period, owner
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.market.bars import CANONICAL_COLUMNS, PRICE_COLUMNS
from core.quality.cleaning import Finding, MonthCounts

BARS: Final = "bars.parquet"
META: Final = "__meta.json"
PROVENANCE: Final = "__provenance.parquet"
QUARANTINE: Final = "__quarantine.json"
FORMAT: Final = 1

_STAMP: Final = pa.timestamp("us", tz="UTC")
BARS_SCHEMA: Final = pa.schema(
    [
        ("ts", _STAMP),
        *((name, pa.float64()) for name in (*PRICE_COLUMNS, "volume")),
        ("filled", pa.bool_()),
        ("spike_flag", pa.bool_()),
        ("quality_flag", pa.string()),
    ]
)
PROVENANCE_SCHEMA: Final = pa.schema(
    [
        ("ts", _STAMP),
        ("source", pa.string()),
        ("fetched_at", _STAMP),
        ("ingest_run_id", pa.string()),
        ("price_side", pa.string()),
    ]
)


@dataclass(frozen=True, order=True)
class PartitionKey:
    """Which month of which symbol; `month` is `YYYY-MM` of the bars' opens in UTC."""

    timeframe: str
    symbol: str
    month: str

    @property
    def folder(self) -> Path:
        """The partition's folder below canonical_root."""
        return Path(self.timeframe) / self.symbol / self.month

    def __str__(self) -> str:
        return str(self.folder)


@dataclass(frozen=True)
class Provenance:
    """Where the bars of one import come from; `fetched_at` is UTC."""

    source: str
    fetched_at: datetime.datetime
    ingest_run_id: str
    price_side: str


def content_hash(bars: pa.Table) -> str:
    """Hex SHA-256 of canonical bars (BARS_SCHEMA): every value in column order, whatever file carries them."""
    digest = hashlib.sha256()
    for name in CANONICAL_COLUMNS:
        column = bars[name].combine_chunks()
        digest.update(f"{name}\n".encode())
        if name == "quality_flag":
            digest.update("\n".join(column.to_pylist()).encode())
        elif name in {"filled", "spike_flag"}:
            digest.update(column.cast(pa.uint8()).to_numpy().tobytes())
        elif name == "ts":
            digest.update(column.cast(pa.int64()).to_numpy().astype("<i8").tobytes())
        else:
            digest.update(column.to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()


def bars_table(bars: pd.DataFrame) -> pa.Table:
    """Canonical bars as the table `bars.parquet` holds."""
    return _table(bars, BARS_SCHEMA)


def bars_frame(table: pa.Table) -> pd.DataFrame:
    """The table of `bars.parquet` as canonical bars."""
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    return frame


def provenance_table(bars: pa.Table, provenance: Provenance, known: pa.Table | None) -> pa.Table:
    """Provenance of each bar: what `known` says of it (by ts), else this import."""
    frame = pd.DataFrame(
        {
            "ts": bars["ts"].to_pandas(),
            "source": provenance.source,
            "fetched_at": pd.Timestamp(provenance.fetched_at),
            "ingest_run_id": provenance.ingest_run_id,
            "price_side": provenance.price_side,
        }
    )
    if known is not None:
        earlier = known.to_pandas()
        untouched = ~frame["ts"].isin(earlier["ts"])
        frame = pd.concat([earlier, frame[untouched]], ignore_index=True).sort_values("ts", ignore_index=True)
    return _table(frame, PROVENANCE_SCHEMA)


def _table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """In one thread: starting several takes longer than converting a month."""
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False, nthreads=1)
    return table.replace_schema_metadata(None)


def parquet_bytes(table: pa.Table) -> bytes:
    """The bytes of a Parquet file with Snappy; the same table gives the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="snappy")
    return bytes(sink.getvalue())


def meta(key: PartitionKey, bars: pa.Table, counts: MonthCounts) -> dict[str, Any]:
    """Content of `__meta.json`."""
    year, month = key.month.split("-")
    ts = bars["ts"].cast(pa.int64())
    first, last = (ts[at].as_py() // 1_000_000 for at in (0, -1))
    return {
        "format": FORMAT,
        "timeframe": key.timeframe,
        "symbol": key.symbol,
        "year": int(year),
        "month": int(month),
        "first_ts": iso(first),
        "last_ts": iso(last),
        "data_hash": content_hash(bars),
        "counts": asdict(counts),
    }


def quarantine(findings: Sequence[Finding], owner: str) -> dict[str, Any] | None:
    """Content of `__quarantine.json`, or None where nothing was found."""
    if not findings:
        return None
    return {
        "reason": ", ".join(finding.reason for finding in findings),
        "threshold": {finding.reason: finding.threshold for finding in findings},
        "observed": {finding.reason: finding.observed for finding in findings},
        "period": {
            "first_ts": iso(min(finding.first for finding in findings)),
            "last_ts": iso(max(finding.last for finding in findings)),
        },
        "owner": owner,
    }


def iso(seconds: int) -> str:
    """Epoch seconds as ISO 8601 in UTC, e.g. 2022-03-04T21:00:00Z."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
