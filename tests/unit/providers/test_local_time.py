"""Wall-clock stamps across both changes of daylight saving time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.providers.local_time import to_utc

ZONES = ("Europe/Athens", "America/New_York", "America/Sao_Paulo", "UTC", "Asia/Tokyo")


def _utc(zone: str, *stamps: str) -> list[str]:
    series = to_utc(pd.Series(pd.to_datetime(list(stamps))), zone, "bars.csv")
    assert str(series.dtype) == "datetime64[us, UTC]"
    return [f"{stamp:%Y-%m-%d %H:%M}" for stamp in series]


def test_summer_and_winter_differ_by_an_hour() -> None:
    assert _utc("Europe/Athens", "2021-01-15 12:00", "2021-07-15 12:00") == ["2021-01-15 10:00", "2021-07-15 09:00"]


def test_the_hour_autumn_repeats_is_read_in_order() -> None:
    stamps = ("2021-10-31 02:00", "2021-10-31 03:00", "2021-10-31 03:00", "2021-10-31 04:00")
    expected = ["2021-10-30 23:00", "2021-10-31 00:00", "2021-10-31 01:00", "2021-10-31 02:00"]
    assert _utc("Europe/Athens", *stamps) == expected


def test_half_hours_of_both_passes() -> None:
    stamps = ("2021-10-31 03:00", "2021-10-31 03:30", "2021-10-31 03:00", "2021-10-31 03:30")
    expected = ["2021-10-31 00:00", "2021-10-31 00:30", "2021-10-31 01:00", "2021-10-31 01:30"]
    assert _utc("Europe/Athens", *stamps) == expected


@pytest.mark.parametrize(
    ("stamp", "code"), [("2021-03-28 03:00", "DATA_STAMP_SKIPPED"), ("2021-10-31 03:00", "DATA_STAMP_AMBIGUOUS")]
)
def test_a_stamp_that_cannot_be_told_is_named_with_its_row(stamp: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        _utc("Europe/Athens", "2021-01-15 12:00", stamp)
    assert (caught.value.code, caught.value.where) == (code, "bars.csv, row 1")


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(min_value=pd.Timestamp("2005-01-01"), max_value=pd.Timestamp("2035-01-01")),
    bars=st.integers(1, 24 * 400),
)
def test_hourly_stamps_come_back_whatever_the_zone(zone: str, start: pd.Timestamp, bars: int) -> None:
    opens = pd.date_range(pd.Timestamp(start).floor("h"), periods=bars, freq="h", tz="UTC")
    local = pd.Series(opens.tz_convert(zone).tz_localize(None))
    whole_passes = not _cut_inside_a_repeated_hour(local, zone)
    if whole_passes:
        assert list(to_utc(local, zone, "bars.csv")) == list(opens)


def _cut_inside_a_repeated_hour(local: pd.Series, zone: str) -> bool:
    """Whether the stamps start or end between the two passes, so that one of them is not in the file."""
    ends = pd.DatetimeIndex([local.iloc[0], local.iloc[-1]])
    first, second = (ends.tz_localize(zone, ambiguous=np.array([summer, summer])) for summer in (True, False))
    return bool((first != second).any())
