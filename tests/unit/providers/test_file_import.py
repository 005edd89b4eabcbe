"""A vendor's file read as sources.yaml describes it, and every way it can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.config.sources import FileProvider
from core.errors import InputError
from core.providers.file_import import FileImport

HOURS = pd.date_range("2021-06-01", periods=6, freq="h", tz="UTC")


def _provider(**layout: Any) -> FileProvider:
    plain = {
        "format": "csv",
        "file_name": "{symbol}.csv",
        "columns": {"ts": "Date", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"},
        "timestamp_format": "%Y-%m-%d %H:%M:%S",
        "timezone": "UTC",
        "stamp": "open",
        "price_side": "bid",
        "price_scale": 1.0,
        "price_scale_overrides": {},
        "price_decimals": 0,
        "price_decimals_overrides": {},
    }
    provider = {"kind": "file", "name": "vendor", "priority": 1, "root": "bars", "layout": plain | layout}
    return FileProvider.model_validate(provider)


def _frame() -> pd.DataFrame:
    close = np.array([1.10, 1.11, 1.12, 1.11, 1.10, 1.09])
    stamps = HOURS.tz_localize(None).strftime("%Y-%m-%d %H:%M:%S")
    return pd.DataFrame({"Date": stamps, "o": close, "h": close + 0.01, "l": close - 0.01, "c": close, "v": range(6)})


def _csv(folder: Path, frame: pd.DataFrame, symbol: str = "EURUSD") -> Path:
    path = folder / f"{symbol}.csv"
    frame.to_csv(path, index=False)
    return path


def _fetch(folder: Path, symbol: str = "EURUSD", **layout: Any) -> pd.DataFrame:
    return FileImport(_provider(**layout), folder).fetch(symbol, "1h").frame


def test_columns_are_renamed_and_stamps_are_utc(tmp_path: Path) -> None:
    _csv(tmp_path, _frame())
    bars = _fetch(tmp_path)
    assert list(bars.columns) == ["ts", "open", "high", "low", "close", "volume"]
    assert list(bars["ts"]) == list(HOURS)
    assert bars["close"].tolist() == [1.10, 1.11, 1.12, 1.11, 1.10, 1.09]
    assert bars["volume"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_close_stamps_become_open_stamps(tmp_path: Path) -> None:
    _csv(tmp_path, _frame())
    assert list(_fetch(tmp_path, stamp="close")["ts"]) == list(HOURS - pd.Timedelta(hours=1))


def test_scale_and_decimals_follow_the_symbol(tmp_path: Path) -> None:
    frame = _frame()
    frame[["o", "h", "l", "c"]] = 128847.00000000001
    for symbol in ("GBPJPY", "AUDUSD"):
        _csv(tmp_path, frame, symbol)
    layout = {
        "price_scale": 100000.0,
        "price_scale_overrides": {"GBPJPY": 1000.0},
        "price_decimals": 5,
        "price_decimals_overrides": {"GBPJPY": 3},
    }
    assert _fetch(tmp_path, "GBPJPY", **layout)["close"].tolist() == [128.847] * 6
    assert _fetch(tmp_path, "AUDUSD", **layout)["close"].tolist() == [1.28847] * 6


def test_stamps_with_an_offset_need_no_zone(tmp_path: Path) -> None:
    frame = _frame()
    frame["Date"] += "+03:00"
    _csv(tmp_path, frame)
    bars = _fetch(tmp_path, timestamp_format="%Y-%m-%d %H:%M:%S%z", timezone="Asia/Tokyo")
    assert list(bars["ts"]) == list(HOURS - pd.Timedelta(hours=3))


@pytest.mark.parametrize("zone", [None, "Europe/Athens"])
def test_parquet_stamps_may_be_naive_or_zoned(tmp_path: Path, zone: str | None) -> None:
    frame = _frame().assign(Date=HOURS if zone is None else HOURS.tz_convert(zone).tz_localize(None))
    frame.to_parquet(tmp_path / "EURUSD.parquet")
    layout = {"format": "parquet", "file_name": "{symbol}.parquet", "timestamp_format": "native"}
    bars = _fetch(tmp_path, **layout, timezone=zone or "Asia/Tokyo")
    assert list(bars["ts"]) == list(HOURS)


def _set(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: "object"})
        frame.loc[row, column] = value
        return frame

    return spoil


BAD_ROWS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, int | None]] = {
    "high below low": (_set(2, "h", 0.5), "DATA_SCHEMA_HIGH_LOW", 2),
    "no price": (_set(3, "c", None), "DATA_SCHEMA_NOT_FINITE", 3),
    "not a number": (_set(3, "c", "n/a!"), "DATA_FILE_NUMBER", 3),
    "infinite": (_set(3, "o", "inf"), "DATA_SCHEMA_NOT_FINITE", 3),
    "zero": (_set(1, "l", 0), "DATA_SCHEMA_NOT_POSITIVE", 1),
    "negative": (_set(1, "l", -1.1), "DATA_SCHEMA_NOT_POSITIVE", 1),
    "no stamp": (_set(4, "Date", None), "DATA_STAMP_MISSING", 4),
    "unreadable stamp": (_set(4, "Date", "01.06.2021"), "DATA_STAMP_FORMAT", 4),
    "stamp twice": (_set(4, "Date", "2021-06-01 03:00:00"), "DATA_SCHEMA_DUPLICATE", 4),
    "unsorted": (lambda frame: frame.iloc[::-1], "DATA_SCHEMA_UNSORTED", 1),
    "off the grid": (_set(4, "Date", "2021-06-01 04:10:00"), "DATA_SCHEMA_GRID", 4),
    "no column": (lambda frame: frame.drop(columns="v"), "DATA_FILE_COLUMN", None),
    "no rows": (lambda frame: frame.iloc[:0], "DATA_FILE_EMPTY", None),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_with_its_file(tmp_path: Path, name: str) -> None:
    spoil, code, row = BAD_ROWS[name]
    path = _csv(tmp_path, spoil(_frame()))
    with pytest.raises(InputError) as caught:
        _fetch(tmp_path)
    assert caught.value.code == code
    assert str(path) in caught.value.where
    assert row is None or f"row {row}" in caught.value.where


def test_a_row_cut_short_is_named(tmp_path: Path) -> None:
    path = _csv(tmp_path, _frame())
    path.write_text(path.read_text()[:-12])
    with pytest.raises(InputError) as caught:
        _fetch(tmp_path)
    assert caught.value.code == "DATA_FILE_UNREADABLE"
    assert str(path) in caught.value.where


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00binary\x00", None])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "EURUSD.parquet"
    _frame().assign(Date=HOURS).to_parquet(path)
    path.write_bytes(path.read_bytes()[:700] if content is None else content)
    with pytest.raises(InputError) as caught:
        _fetch(tmp_path, format="parquet", file_name="{symbol}.parquet", timestamp_format="native")
    assert caught.value.code == "DATA_FILE_UNREADABLE"
    assert str(path) in caught.value.where


@pytest.mark.parametrize("where", ["header", "row"])
def test_a_file_in_another_encoding_is_named(tmp_path: Path, where: str) -> None:
    path = _csv(tmp_path, _frame())
    lines = path.read_bytes().splitlines(keepends=True)
    at = 0 if where == "header" else 3
    path.write_bytes(b"".join([*lines[:at], b"\xff\xfe" + lines[at], *lines[at + 1 :]]))
    with pytest.raises(InputError) as caught:
        _fetch(tmp_path)
    assert caught.value.code == "DATA_FILE_UNREADABLE"
    assert str(path) in caught.value.where


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"EURUSD\.csv"):
        _fetch(tmp_path)


def test_text_stamps_read_as_typed_ones_say_what_to_change(tmp_path: Path) -> None:
    _csv(tmp_path, _frame())
    with pytest.raises(InputError, match="timestamp_format"):
        _fetch(tmp_path, timestamp_format="native")
