"""Bars from a folder of Parquet or CSV files (SPEC DATA-1): reads what a vendor wrote and undoes its conventions."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from core.config.pipeline_policy import Timeframe
from core.config.sources import FileLayout, FileProvider
from core.errors import InputError
from core.market.bars import PRICE_COLUMNS, TS_DTYPE, validate_raw_bars
from core.market.timeframe import timeframe_seconds
from core.providers.file_reader import column_names, read_table
from core.providers.local_time import to_utc
from core.providers.protocol import FetchedBars

NATIVE_STAMPS = "native"


class FileImport:
    """A `MarketDataProvider` over a folder with one file a symbol."""

    def __init__(self, provider: FileProvider, folder: Path) -> None:
        self._provider = provider
        self._folder = folder

    @property
    def name(self) -> str:
        return self._provider.name

    def path(self, symbol: str) -> Path:
        """The symbol's file."""
        return self._folder / self._provider.layout.file_name.format(symbol=symbol)

    def has(self, symbol: str) -> bool:
        """Whether the symbol's file is there, whatever is in it."""
        return self.path(symbol).is_file()

    def fits(self, symbol: str) -> bool:
        """Whether the symbol's file is there and has the layout's columns. Raises InputError where it is unreadable."""
        if not self.has(symbol):
            return False
        layout = self._provider.layout
        return set(layout.columns.model_dump().values()) <= set(column_names(self.path(symbol), layout))

    def fetch(self, symbol: str, timeframe: Timeframe) -> FetchedBars:
        """All bars of the symbol's file.

        Raises:
            InputError: naming the file and, where one is wrong, the row (counted from 0 without the header): unreadable
                file, absent column, a stamp that is missing, unreadable, repeated, unsorted, off the grid or in an hour
                that daylight saving skips or repeats, high < low, a price that is NaN, infinite, zero or negative.
        """
        path, layout = self.path(symbol), self._provider.layout
        table = read_table(path, layout)
        frame = pd.DataFrame({"ts": _opens(table["ts"], layout, timeframe, str(path))})
        scale = layout.price_scale_overrides.get(symbol, layout.price_scale)
        decimals = layout.price_decimals_overrides.get(symbol, layout.price_decimals)
        for name in PRICE_COLUMNS:
            price = table[name].to_numpy() / scale
            frame[name] = np.round(price, decimals) if decimals else price
        frame["volume"] = table["volume"].to_numpy()
        validate_raw_bars(frame, str(path), timeframe_seconds(timeframe))
        modified = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
        return FetchedBars(symbol, frame, self.name, modified, layout.price_side)


def _opens(stored: pa.ChunkedArray, layout: FileLayout, timeframe: Timeframe, where: str) -> pd.Series:
    stamps = _parse(stored, layout, where)
    missing = stamps.isna().to_numpy()
    if missing.any():
        row = int(np.argmax(missing))
        raise InputError(
            "DATA_STAMP_MISSING",
            "the stamp is missing",
            where=f"{where}, row {row}",
            remedy="mend the row in the file",
        )
    if stamps.dt.tz is None:
        utc = to_utc(stamps, layout.timezone, where)
    else:
        utc = stamps.dt.tz_convert("UTC").astype(TS_DTYPE)
    if layout.stamp == "close":
        utc = utc - pd.Timedelta(seconds=timeframe_seconds(timeframe))
    return utc


def _parse(stored: pa.ChunkedArray, layout: FileLayout, where: str) -> pd.Series:
    """Stamps as stored: naive or with a zone, NaT where the file has none."""
    if layout.timestamp_format == NATIVE_STAMPS:
        if not pa.types.is_timestamp(stored.type):
            raise InputError(
                "DATA_STAMP_TYPE",
                f"the stamps are of type {stored.type}, not timestamps",
                where=f"{where}, column {layout.columns.ts}",
                remedy="give their strptime format as layout.timestamp_format in sources.yaml",
            )
        return pd.Series(stored.to_pandas()).rename("ts")
    text = pd.Series(stored.cast(pa.string()).to_pandas(), dtype="str").rename("ts")
    zoned = "%z" in layout.timestamp_format
    parsed = pd.to_datetime(text, format=layout.timestamp_format, errors="coerce", utc=zoned)
    wrong = (parsed.isna() & text.notna() & (text != "")).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            "DATA_STAMP_FORMAT",
            f"{text.iloc[row]!r} is not of the form {layout.timestamp_format}",
            where=f"{where}, row {row}",
            remedy="mend layout.timestamp_format of sources.yaml or the row in the file",
        )
    return parsed
