"""Reads a vendor's Parquet or CSV file into a table of the columns its layout names."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from core.config.sources import FileLayout
from core.errors import InputError, TransientError

UNREADABLE = (pa.ArrowInvalid, OSError, UnicodeDecodeError)
"""What reading a file raises that is truncated, damaged, or written in another format or encoding."""
_PRICES_AND_VOLUME = ("open", "high", "low", "close", "volume")


def column_names(path: Path, layout: FileLayout) -> list[str]:
    """Names of a file's columns. Raises InputError where the file cannot be read."""
    try:
        if layout.format == "parquet":
            return list(pq.read_schema(path).names)
        with pa_csv.open_csv(path) as reader:
            return list(reader.schema.names)
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def read_table(path: Path, layout: FileLayout) -> pa.Table:
    """The file's rows as columns ts (as stored), open, high, low, close, volume (float64, null where empty).

    Raises:
        InputError: the file is not there, truncated or of another format; a column is absent; a value is no number.
    """
    wanted = layout.columns.model_dump()
    if not path.is_file():
        raise InputError(
            "DATA_FILE_MISSING",
            f"there is no file {path.name}",
            where=str(path.parent),
            remedy="add the file, mend layout.file_name in sources.yaml, or take the symbol out of universe.yaml",
        )
    found = column_names(path, layout)
    absent = [name for name in wanted.values() if name not in found]
    if absent:
        raise InputError(
            "DATA_FILE_COLUMN",
            f"no column {', '.join(absent)}; the file has {', '.join(found)}",
            where=str(path),
            remedy="mend layout.columns of the provider in sources.yaml",
        )
    try:
        table = _read(path, layout, wanted)
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if table.num_rows == 0:
        raise InputError(
            "DATA_FILE_EMPTY", "the file holds no bar", where=str(path), remedy="export the symbol's bars again"
        )
    columns = {"ts": table[wanted["ts"]]}
    for name in _PRICES_AND_VOLUME:
        columns[name] = _numbers(table[wanted[name]], path, wanted[name])
    return pa.table(columns)


def unreadable(path: Path, error: Exception) -> InputError | TransientError:
    """The file's error in our words: what is wrong with it, and what to do."""
    if isinstance(error, PermissionError):
        return TransientError(
            "DATA_FILE_PERMISSION", "the file may not be read", where=str(path), remedy="mend the file's permissions"
        )
    reason = " ".join(str(error).split())[:300]
    return InputError(
        "DATA_FILE_UNREADABLE",
        f"the file is truncated, damaged or of another format: {reason}",
        where=str(path),
        remedy="export or copy the file again; layout.format of sources.yaml must name its format",
    )


def _read(path: Path, layout: FileLayout, wanted: dict[str, str]) -> pa.Table:
    columns = list(dict.fromkeys(wanted.values()))
    if layout.format == "parquet":
        return pq.ParquetFile(path).read(columns=columns, use_threads=False)
    as_text = dict.fromkeys(columns, pa.string())
    options = pa_csv.ConvertOptions(column_types=as_text, include_columns=columns, strings_can_be_null=True)
    return pa_csv.read_csv(path, read_options=pa_csv.ReadOptions(use_threads=False), convert_options=options)


def _numbers(column: pa.ChunkedArray, path: Path, name: str) -> pa.ChunkedArray:
    try:
        return pc.cast(column, pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        rows = enumerate(column.to_pylist())
        row, value = next((row, value) for row, value in rows if value is not None and not _is_number(value))
        raise InputError(
            "DATA_FILE_NUMBER",
            f"{name} is {value!r}, not a number",
            where=f"{path}, row {row}",
            remedy="mend the row in the file, or layout.columns of sources.yaml",
        ) from None


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
