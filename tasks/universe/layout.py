"""The layout of a folder of bar files never seen before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from core.config.pipeline_policy import Timeframe
from core.config.sources import Columns, FileLayout
from core.errors import CoreError, InputError
from core.market.discovery.hours import guess_stamp_zone
from core.market.timeframe import timeframe_seconds
from core.providers.file_reader import UNREADABLE, unreadable

_FORMATS: Final[dict[str, Literal["parquet", "csv"]]] = {".parquet": "parquet", ".csv": "csv"}
_SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9._]*")
_NAMES: Final = {
    "ts": ("ts", "timestamp", "datetime", "date_time", "open_time", "time", "date"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "tick_volume", "tickvolume", "tickvol", "vol", "v"),
}
_STAMP_FORMATS: Final = tuple(
    f"{day}{clock}{zone}"
    for day in ("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%d.%m.%Y", "%Y%m%d")
    for clock in (" %H:%M:%S", "T%H:%M:%S", " %H:%M", "T%H:%M", " %H:%M:%S.%f", "T%H:%M:%S.%f", " %H%M%S", "")
    for zone in ("", "%z")
)


@dataclass(frozen=True)
class FolderLayout:
    """The symbols of a folder, how its files are written, their time frame, and in words what is only a guess."""

    symbols: tuple[str, ...]
    layout: FileLayout
    timeframe: Timeframe
    doubts: tuple[str, ...]


def detect_layout(folder: Path, timeframe: Timeframe | None, allowed: Sequence[Timeframe]) -> FolderLayout:
    """Look at the folder's file names and at its first file.

    Raises InputError when the folder has no Parquet or CSV file, mixes them, has names no symbol can be read from, or
    when the first file cannot be read or has no column that looks like a stamp, open, high, low, close or volume.
    """
    paths = _bar_files(folder)
    symbols, file_name = _file_names(paths)
    first = paths[0]
    names, head = _read_head(first)
    columns = _columns(names, first)
    stamps, stamp_format = _stamps(head[columns.ts], first)
    doubts = ["stamps are taken as bar opens, prices as bids"]
    zone = "UTC"
    if stamps.dt.tz is None:
        zone = guess_stamp_zone(stamps)
        doubts.append(f"the stamps name no time zone; {zone} fits the trading week best")
    found = timeframe or _timeframe(stamps, allowed, first)
    layout = FileLayout(
        format=_FORMATS[first.suffix.lower()],
        file_name=file_name,
        columns=columns,
        timestamp_format=stamp_format,
        timezone=zone,
        stamp="open",
        price_side="bid",
        price_scale=1.0,
        price_scale_overrides={},
        price_decimals=0,
        price_decimals_overrides={},
    )
    return FolderLayout(tuple(symbols), layout, found, tuple(doubts))


def _bar_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise _unusable("FOLDER", "there is no such folder", str(folder), "name a folder of Parquet or CSV bar files")
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in _FORMATS)
    if not paths:
        message = "the folder holds no .parquet or .csv file"
        raise _unusable("FOLDER", message, str(folder), "put one file of bars a symbol into it")
    kinds = sorted({path.suffix for path in paths})
    if len(kinds) > 1:
        message = f"the folder mixes {' and '.join(kinds)} files"
        raise _unusable("FOLDER", message, str(folder), "keep one kind of file, with one ending, a folder")
    return paths


def _file_names(paths: Sequence[Path]) -> tuple[list[str], str]:
    """The symbols and the file name with `{symbol}` in it: the part of the names that differs is the symbol."""
    stems = [path.stem for path in paths]
    for pattern in (r"([A-Z]{6})(\d.*)", r"([A-Z0-9]+)(.*)"):
        parts = [re.fullmatch(pattern, stem) for stem in stems]
        matched = [part for part in parts if part]
        if len(matched) == len(stems) and len({part[2] for part in matched}) == 1:
            rest = matched[0][2].replace("{", "{{").replace("}", "}}")
            return [part[1] for part in matched], f"{{symbol}}{rest}{paths[0].suffix}"
    unusable = [stem for stem in stems if not _SYMBOL.fullmatch(stem)]
    if unusable:
        message = f"no symbol can be read from the file name {', '.join(unusable[:5])}"
        remedy = "name the files SYMBOL.csv or SYMBOL.parquet with the symbol in capitals"
        raise _unusable("NAME", message, str(paths[0].parent), remedy)
    return stems, f"{{symbol}}{paths[0].suffix}"


def _read_head(path: Path) -> tuple[list[str], pd.DataFrame]:
    try:
        if path.suffix.lower() == ".parquet":
            table = pq.ParquetFile(path).read(use_threads=False)
        else:
            table = pa_csv.read_csv(path, read_options=pa_csv.ReadOptions(use_threads=False))
        names, frame = list(table.column_names), table.to_pandas()
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if table.num_rows < 2:
        raise _unusable("EMPTY", "the file holds fewer than two bars", str(path), "export the symbol's bars again")
    return names, frame


def _columns(names: Sequence[str], path: Path) -> Columns:
    plain = {name.strip().strip("<>").lower(): name for name in reversed(names)}
    chosen = {
        field: next((plain[alias] for alias in aliases if alias in plain), None) for field, aliases in _NAMES.items()
    }
    absent = [field for field, name in chosen.items() if name is None]
    if absent:
        known = "; ".join(f"{field}: {', '.join(_NAMES[field])}" for field in absent)
        message = f"no column for {', '.join(absent)} among {', '.join(names)}"
        raise _unusable("COLUMNS", message, str(path), f"name the columns as one of ({known}), in any case")
    return Columns.model_validate(chosen)


def _stamps(column: pd.Series, path: Path) -> tuple[pd.Series, str]:
    """The first file's stamps and their format: `native` for typed Parquet columns, else a strptime format."""
    if path.suffix.lower() == ".parquet" and pd.api.types.is_datetime64_any_dtype(column):
        return column, "native"
    if pd.api.types.is_datetime64_any_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        text = _text_of(path, str(column.name)) if path.suffix.lower() == ".csv" else column.astype("str")
        for stamp_format in _STAMP_FORMATS:
            parsed = pd.to_datetime(text, format=stamp_format, errors="coerce", utc="%z" in stamp_format)
            if parsed.notna().all():
                return parsed, stamp_format
    message = f"the stamps in column {column.name} are of no known form, e.g. {column.iloc[0]!r}"
    raise _unusable("STAMPS", message, str(path), "write them as text such as 2024-03-08 15:00:00, UTC")


def _text_of(path: Path, column: str) -> pd.Series:
    options = pa_csv.ConvertOptions(column_types={column: pa.string()}, include_columns=[column])
    return pd.Series(pa_csv.read_csv(path, convert_options=options)[column].to_pandas(), dtype="str")


def _timeframe(stamps: pd.Series, allowed: Sequence[Timeframe], path: Path) -> Timeframe:
    steps = np.diff(stamps.to_numpy(dtype="datetime64[s]").astype(np.int64))
    values, counts = np.unique(steps, return_counts=True)
    commonest = int(values[np.argmax(counts)])
    for timeframe in allowed:
        if timeframe_seconds(timeframe) == commonest:
            return timeframe
    message = f"bars are mostly {commonest} s apart, which is none of {', '.join(allowed)}"
    raise _unusable("TIMEFRAME", message, str(path), "give --timeframe, or resample the bars to one of these")


def _unusable(code: str, message: str, where: str, remedy: str) -> CoreError:
    return InputError(f"DATA_DISCOVERY_{code}", message, where=where, remedy=remedy)
