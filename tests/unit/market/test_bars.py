"""Bars that break the schema are refused, naming the row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.market.bars import CANONICAL_COLUMNS, PRICE_COLUMNS, epoch_seconds, stamps, validate_bars, validate_raw_bars
from tests.unit.market.examples import HOUR, at, canonical, raw

START = at("2024-03-04T00:00")
HOURS = [START + HOUR * number for number in range(6)]


def _set(column: str, row: int, value: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        changed = frame.copy()
        changed.loc[row, column] = value
        return changed

    return change


def test_good_bars_pass() -> None:
    validate_raw_bars(raw(HOURS), "X", HOUR)
    validate_bars(canonical(HOURS, [0] * 6)[list(CANONICAL_COLUMNS)], "X", HOUR)


@pytest.mark.parametrize(
    ("change", "code", "row"),
    [
        (lambda f: f.iloc[[0, 1, 1, 2]].reset_index(drop=True), "DATA_SCHEMA_DUPLICATE", 2),
        (lambda f: f.iloc[[0, 2, 1, 3]].reset_index(drop=True), "DATA_SCHEMA_UNSORTED", 2),
        (_set("high", 3, 50.0), "DATA_SCHEMA_HIGH_LOW", 3),
        (_set("open", 1, 120.0), "DATA_SCHEMA_RANGE", 1),
        (_set("close", 4, 80.0), "DATA_SCHEMA_RANGE", 4),
        (_set("close", 2, float("nan")), "DATA_SCHEMA_NOT_FINITE", 2),
        (_set("high", 2, float("inf")), "DATA_SCHEMA_NOT_FINITE", 2),
        (_set("low", 5, 0.0), "DATA_SCHEMA_NOT_POSITIVE", 5),
        (_set("low", 0, -1.0), "DATA_SCHEMA_NOT_POSITIVE", 0),
        (_set("volume", 1, -1.0), "DATA_SCHEMA_VOLUME", 1),
        (lambda f: f.assign(ts=f["ts"] + pd.Timedelta(minutes=1)), "DATA_SCHEMA_GRID", 0),
        (lambda f: f.assign(ts=f["ts"].where(f.index != 0, pd.Timestamp("0001-01-01T00:00Z"))), "DATA_SCHEMA_YEAR", 0),
        (lambda f: f.assign(ts=f["ts"].where(f.index != 5, pd.Timestamp("9999-12-31T23:00Z"))), "DATA_SCHEMA_YEAR", 5),
    ],
)
def test_a_bad_row_is_named(change: Callable[[pd.DataFrame], pd.DataFrame], code: str, row: int) -> None:
    bad = change(raw(HOURS))
    with pytest.raises(InputError) as caught:
        validate_raw_bars(bad, "bars.parquet", HOUR)
    assert caught.value.code == code
    assert caught.value.where == f"bars.parquet, row {row}, {bad['ts'].iloc[row].isoformat()}"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda f: f.drop(columns="close"), "DATA_SCHEMA_COLUMNS"),
        (lambda f: f.assign(extra=1), "DATA_SCHEMA_COLUMNS"),
        (lambda f: f.assign(ts=f["ts"].dt.tz_localize(None)), "DATA_SCHEMA_DTYPE"),
        (lambda f: f.assign(close=f["close"].astype("float32")), "DATA_SCHEMA_DTYPE"),
        (lambda f: f.assign(ts=f["ts"].where(f.index != 2)), "DATA_SCHEMA_STAMP"),
    ],
)
def test_another_shape_is_refused(change: Callable[[pd.DataFrame], pd.DataFrame], code: str) -> None:
    with pytest.raises(InputError, match=code):
        validate_raw_bars(change(raw(HOURS)), "bars.parquet", HOUR)


def test_an_unknown_quality_flag_is_refused() -> None:
    frame = canonical(HOURS, [0] * 6)[list(CANONICAL_COLUMNS)]
    frame.loc[3, "quality_flag"] = "fine"
    with pytest.raises(InputError, match="DATA_SCHEMA_FLAG"):
        validate_bars(frame, "bars.parquet", HOUR)


@given(st.integers(0, 5), st.sampled_from(PRICE_COLUMNS), st.just(float("nan")) | st.floats(max_value=0.0))
def test_no_price_below_zero_or_undefined_ever_passes(row: int, column: str, value: float) -> None:
    with pytest.raises(InputError, match=f"row {row}"):
        validate_raw_bars(_set(column, row, value)(raw(HOURS)), "bars", HOUR)


@given(st.lists(st.integers(0, 4_000_000_000), max_size=20))
def test_stamps_and_seconds_are_inverse(seconds: list[int]) -> None:
    values = np.array(seconds, dtype=np.int64)
    assert np.array_equal(epoch_seconds(stamps(values)), values)
