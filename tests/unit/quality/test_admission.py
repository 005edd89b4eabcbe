"""Which partitions a run may use."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.market.bars import TS_DTYPE
from core.quality.admission import ADMITTED, INDEX_COLUMNS, Window, admit, history_window
from tests.unit.quality.examples import HOUR, THRESHOLDS

WINDOW = Window("2021-01", "2021-04", datetime.datetime(2021, 4, 9, 12, tzinfo=datetime.UTC))


def _index(*rows: dict[str, Any]) -> pd.DataFrame:
    plain = {
        "timeframe": "1h",
        "symbol": "EURUSD",
        "year": 2021,
        "month": 1,
        "last_ts": pd.Timestamp("2021-01-29T21:00Z"),
        "bars_written": 500,
        "missing_gaps": 0,
        "filled_bars": 0,
        "outlier_bars": 0,
        "spike_flags": 0,
        "quarantine_flag": False,
        "data_hash": "0" * 64,
    }
    frame = pd.DataFrame([plain | row for row in rows], columns=list(INDEX_COLUMNS))
    return frame.assign(last_ts=frame["last_ts"].astype(TS_DTYPE))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"quarantine_flag": True}, "quarantine"),
        ({"missing_gaps": 11}, "missing_rate"),
        ({"outlier_bars": 6}, "outlier_rate"),
        ({"year": 2020, "month": 12}, "outside_window"),
        ({"month": 5}, "outside_window"),
        ({"symbol": "GBPUSD"}, "not_in_universe"),
    ],
)
def test_a_partition_is_left_out_for_its_reason(row: dict[str, Any], reason: str) -> None:
    marked, exclusions = admit(_index(row), WINDOW, {"EURUSD"}, THRESHOLDS)
    assert marked[ADMITTED].tolist() == [False]
    assert [each.reason for each in exclusions] == [reason]


def test_a_partition_at_the_limits_is_admitted() -> None:
    marked, exclusions = admit(_index({"missing_gaps": 10, "outlier_bars": 5}), WINDOW, {"EURUSD"}, THRESHOLDS)
    assert marked[ADMITTED].tolist() == [True]
    assert exclusions == []
    assert marked[ADMITTED].dtype == np.bool_


def test_a_month_that_is_not_there_at_all_is_named() -> None:
    _, exclusions = admit(_index({"month": 1}, {"month": 4}), WINDOW, {"EURUSD"}, THRESHOLDS)
    assert [(each.month, each.reason) for each in exclusions] == [("2021-02", "absent"), ("2021-03", "absent")]


def test_the_last_month_ends_at_the_window() -> None:
    index = _index(
        {"month": 3, "last_ts": pd.Timestamp("2021-03-31T23:00Z")},
        {"month": 4, "last_ts": pd.Timestamp("2021-04-30T20:00Z")},
    )
    marked, _ = admit(index, WINDOW, {"EURUSD"}, THRESHOLDS)
    assert marked["last_ts"].tolist() == [pd.Timestamp("2021-03-31T23:00Z"), pd.Timestamp(WINDOW.last_open)]
    assert marked["last_ts"].dtype == index["last_ts"].dtype


@pytest.mark.parametrize(
    ("as_of", "first", "last"),
    [
        ("2022-03-04T22:00:00+00:00", "2019-03", "2022-03"),  # 36 full months and the running one
        ("2024-02-01T00:00:00+00:00", "2021-02", "2024-01"),  # just closed: exactly 36 months
    ],
)
def test_the_window_is_the_newest_history(as_of: str, first: str, last: str) -> None:
    window = history_window(datetime.datetime.fromisoformat(as_of), 36, HOUR)
    assert (window.first_month, window.last_month) == (first, last)
    assert window.last_open == datetime.datetime.fromisoformat(as_of) - datetime.timedelta(hours=1)
