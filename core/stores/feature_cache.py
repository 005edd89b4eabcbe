"""Unscaled features by month, kept under the hash of what made them (SPEC FEAT-2, S14).

features_root/{timeframe}/{pair}/{YYYY-MM}/{feature_hash}.parquet holds a month's rows and, in its metadata, the
kernel's state after the last of them. A month's hash covers the feature definition, the kernel's source, and for every
month from the pair's first up to this one the data hashes of both legs' partitions and which of their bars the pair
uses: running sums depend on where they start, so a month is what all months before it made it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import core.features
from core.config.core_policy import CorePolicy
from core.config.universe import Pair
from core.features.kernels.snapshot import state_from_bytes, state_to_bytes
from core.features.live import LiveFeatures, cut_bars
from core.features.schema import schema_definition
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars
from core.quality.admission import ADMITTED
from core.stores.files import sha256_json, write_bytes

HELD: Final = ("alpha", "spread_mean", "spread_sd")
PREPROCESSING_KEYS: Final = ("windows", "columns", "format")
"""The part of the feature definition that shapes unscaled columns."""

Warn = Callable[[Path, str], None]


@dataclass(frozen=True)
class CachedFeatures:
    """A pair's features and how many of its months were computed anew."""

    table: FeatureTable
    months_computed: int
    months_cached: int


@dataclass(frozen=True)
class MonthFeatures:
    """Features of one month of a pair, and whether they were found in the cache."""

    bars: PairBars
    table: FeatureTable
    cached: bool


def load_or_build(
    features_root: Path, policy: CorePolicy, timeframe: str, pair: Pair, index: pd.DataFrame, bars: PairBars, warn: Warn
) -> CachedFeatures:
    """Features of a pair's whole history; see `build_months`."""
    months = list(build_months(features_root, policy, timeframe, pair, index, months_of(bars), warn))
    cached = sum(month.cached for month in months)
    return CachedFeatures(_join(bars, [month.table for month in months]), len(months) - cached, cached)


def months_of(bars: PairBars) -> Iterator[PairBars]:
    """A pair's bars by calendar month (UTC)."""
    names = bars.ts.astype("datetime64[s]").astype("datetime64[M]")
    firsts = np.flatnonzero(np.concatenate(([True], names[1:] != names[:-1]))).tolist()
    for first, end in zip(firsts, [*firsts[1:], len(bars)], strict=True):
        yield cut_bars(bars, first, end)


def build_months(
    features_root: Path,
    policy: CorePolicy,
    timeframe: str,
    pair: Pair,
    index: pd.DataFrame,
    months: Iterable[PairBars],
    warn: Warn,
) -> Iterator[MonthFeatures]:
    """Features of a pair month by month; months whose hash is there are read, the others computed and kept.

    Computing goes on from the state stored with the month before, which gives the same bits as running through. No
    more than a month is in memory.

    Args:
        features_root: root of the cache.
        policy: windows and columns.
        timeframe: name of the time frame.
        pair: whose bars these are.
        index: the run's dataset index, whose hashes name the data.
        months: the pair's bars, a calendar month (UTC) each, in order, none empty.
        warn: told of a damaged file (path, what is wrong), which is then computed again.

    Raises:
        TransientError: the disk is full or failing.
    """
    kernel = LiveFeatures(policy.feature_windows)
    stored: bytes | None = None
    for name, feature_hash, bars in _hashed(policy, timeframe, pair, index, months):
        path = features_root / timeframe / pair.id / name / f"{feature_hash}.parquet"
        found = _read(path, bars, warn)
        if found is not None:
            table, stored = found
        else:
            if stored is not None:
                kernel, stored = LiveFeatures(policy.feature_windows, state_from_bytes(stored)), None
            table = kernel.take(bars)
            write_bytes(path, _file_bytes(table, state_to_bytes(kernel.snapshot())))
        yield MonthFeatures(bars, table, found is not None)


def _hashed(
    policy: CorePolicy, timeframe: str, pair: Pair, index: pd.DataFrame, months: Iterable[PairBars]
) -> Iterator[tuple[str, str, PairBars]]:
    """Name, hash and bars of each month; months of the legs' data that share no bar are part of the hashes after."""
    definition = schema_definition(policy)
    preprocessing = {key: definition[key] for key in PREPROCESSING_KEYS}
    chain = sha256_json([preprocessing, _kernel_hash(), timeframe, pair.model_dump()])
    data = _data_hashes(index, timeframe, (pair.a, pair.b))
    before: tuple[str, int] | None = None
    for bars in months:
        name = str(np.datetime64(int(bars.ts[0]), "s").astype("datetime64[M]"))
        for unshared in sorted(month for month in data if before is not None and before[0] < month < name):
            chain = sha256_json([chain, unshared, data[unshared], []])
        chain = sha256_json([chain, name, data.get(name, []), _used(bars, before[1] if before else None)])
        before = name, int(bars.segment[-1])
        yield name, chain, bars


def _used(bars: PairBars, segment_before: int | None) -> list[int]:
    """Number and ends of a month's bars, and at which of them a segment starts."""
    first = bars.segment[0] if segment_before is None else segment_before
    restarts = np.flatnonzero(np.diff(bars.segment, prepend=first))
    return [len(bars), int(bars.ts[0]), int(bars.ts[-1]), *restarts.tolist()]


@functools.cache
def _kernel_hash() -> str:
    """SHA-256 of the code that computes the features: a changed kernel finds nothing of the old one's."""
    room = Path(core.features.__file__).parent
    digest = hashlib.sha256()
    for path in sorted([room / "step.py", *(room / "kernels").glob("*.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _data_hashes(index: pd.DataFrame, timeframe: str, symbols: tuple[str, str]) -> dict[str, list[list[str]]]:
    """By month: symbol, hash and end of each admitted partition of the legs."""
    used = index[index[ADMITTED] & index["symbol"].isin(symbols) & (index["timeframe"] == timeframe)]
    hashes: dict[str, list[list[str]]] = {}
    for row in used.sort_values(["year", "month", "symbol"]).itertuples():
        entry = [str(row.symbol), str(row.data_hash), str(row.last_ts)]
        hashes.setdefault(f"{row.year}-{row.month:02d}", []).append(entry)
    return hashes


def _columns(table: FeatureTable) -> dict[str, NDArray[Any]]:
    features = {name: np.ascontiguousarray(table.column(name)) for name in FEATURE_COLUMNS}
    return {"ts": table.ts, "segment": table.segment, **features, **{name: getattr(table, name) for name in HELD}}


def _digest(columns: dict[str, NDArray[Any]], state: bytes) -> bytes:
    digest = hashlib.sha256(state)
    for name, values in columns.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest().encode()


def _file_bytes(table: FeatureTable, state: bytes) -> bytes:
    columns = _columns(table)
    metadata = {b"state": base64.b64encode(state), b"digest": _digest(columns, state)}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), sink, compression="snappy")
    return bytes(sink.getvalue())


def _read(path: Path, bars: PairBars, warn: Warn) -> tuple[FeatureTable, bytes] | None:
    if not path.is_file():
        return None
    try:
        stored = pq.ParquetFile(path).read(use_threads=False)
        state = base64.b64decode(stored.schema.metadata[b"state"], validate=True)
        columns = {name: stored[name].to_numpy() for name in stored.column_names}
        if _digest(columns, state) != stored.schema.metadata[b"digest"] or not np.array_equal(columns["ts"], bars.ts):
            raise ValueError("its content is not what was written")
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        warn(path, str(error))
        return None
    table = FeatureTable(
        pair_id=bars.pair_id,
        ts=bars.ts,
        segment=bars.segment,
        values=np.stack([columns[name] for name in FEATURE_COLUMNS]).T,
        **{name: columns[name] for name in HELD},
    )
    return table, state


def _join(bars: PairBars, parts: list[FeatureTable]) -> FeatureTable:
    return FeatureTable(
        pair_id=bars.pair_id,
        ts=bars.ts,
        segment=bars.segment,
        values=np.concatenate([part.values for part in parts]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in HELD},
    )
