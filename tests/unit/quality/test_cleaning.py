"""Holes filled and not filled, months counted and quarantined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.market.bars import epoch_seconds, validate_bars
from core.market.calendar import expected_bars, expected_opens, session_ids
from core.market.simulator.market import simulate_market
from core.quality.cleaning import CleanBars, clean_bars
from tests.unit.market import examples
from tests.unit.market.examples import at, calendar
from tests.unit.quality.examples import HOUR, THRESHOLDS, bars, walk

FX = calendar()
START, END = at("2024-01-02T00:00"), at("2024-03-15T00:00")
OPENS = expected_opens(FX, HOUR, START, END)
CLOSES = walk(OPENS.size)


def _without(*stamps: str) -> pd.DataFrame:
    absent = {at(stamp) for stamp in stamps}
    kept = np.array([ts not in absent for ts in OPENS])
    return bars(OPENS[kept], CLOSES[kept])


def _clean(raw: pd.DataFrame) -> CleanBars:
    clean = clean_bars(raw, FX, HOUR, THRESHOLDS)
    validate_bars(clean.bars, "clean", HOUR)
    return clean


def _index(stamp: str) -> int:
    return list(OPENS).index(at(stamp))


def _row(clean: CleanBars, stamp: str) -> dict[str, Any]:
    rows = clean.bars[epoch_seconds(clean.bars["ts"]) == at(stamp)]
    assert len(rows) == 1, stamp
    return dict(rows.iloc[0])


def test_complete_bars_stay_as_they_are() -> None:
    raw = _without()
    clean = _clean(raw)
    pd.testing.assert_frame_equal(clean.bars[list(raw.columns)], raw, check_exact=True)
    assert set(clean.bars["quality_flag"]) == {"ok"}
    assert sorted(clean.months) == ["2024-01", "2024-02", "2024-03"]
    assert all(not month.findings and month.counts.missing_gaps == 0 for month in clean.months.values())


def test_a_hole_of_two_bars_is_filled_on_the_line_between_its_neighbours() -> None:
    raw = bars(OPENS, CLOSES)
    where = _index("2024-01-10T10:00")
    raw.loc[where - 1, "close"], raw.loc[where + 2, "close"] = 100.0, 103.0
    raw[["low", "high"]] = [90.0, 110.0]
    clean = _clean(raw.drop(index=[where, where + 1]).reset_index(drop=True))
    first, second = _row(clean, "2024-01-10T10:00"), _row(clean, "2024-01-10T11:00")
    assert [first[name] for name in ("open", "high", "low", "close", "volume")] == pytest.approx(
        [100, 101, 100, 101, 0]
    )
    assert [second[name] for name in ("open", "high", "low", "close", "volume")] == pytest.approx(
        [101, 102, 101, 102, 0]
    )
    assert (first["filled"], first["quality_flag"]) == (True, "missing")
    counts = clean.months["2024-01"].counts
    assert (counts.missing_gaps, counts.filled_bars, counts.outlier_bars) == (2, 2, 0)
    assert not clean.months["2024-01"].findings


def test_a_hole_of_three_bars_stays_and_quarantines_its_month() -> None:
    clean = _clean(_without("2024-02-07T10:00", "2024-02-07T11:00", "2024-02-07T12:00"))
    assert len(clean.bars) == OPENS.size - 3
    (finding,) = clean.months["2024-02"].findings
    assert (finding.reason, finding.threshold, finding.observed) == ("unfilled_gaps", 0, 1)
    assert (finding.first, finding.last) == (at("2024-02-07T10:00"), at("2024-02-07T12:00"))
    assert not clean.months["2024-01"].findings
    assert not clean.months["2024-03"].findings


def test_a_long_hole_across_two_months_quarantines_both() -> None:
    first, last = at("2024-01-31T21:00"), at("2024-02-01T03:00")
    kept = np.less(OPENS, first) | np.greater(OPENS, last)
    clean = _clean(bars(OPENS[kept], CLOSES[kept]))
    assert [month for month, quality in clean.months.items() if quality.findings] == ["2024-01", "2024-02"]


def test_a_weekend_is_no_hole() -> None:
    clean = _clean(_without())
    weekend = (clean.bars["ts"].dt.day_of_week == 5).sum()
    assert weekend == 0


@pytest.mark.parametrize("edge", ["2024-01-14T22:00", "2024-01-12T21:00"])
def test_a_late_open_and_an_early_close_are_no_holes(edge: str) -> None:
    clean = _clean(_without(edge))
    assert len(clean.bars) == OPENS.size - 1
    assert clean.months["2024-01"].counts.missing_gaps == 0


def test_a_hole_at_a_session_edge_beyond_the_tolerance_is_never_filled() -> None:
    clean = _clean(_without("2024-01-12T20:00", "2024-01-12T21:00"))
    assert not clean.bars["filled"].any()
    assert clean.months["2024-01"].findings[0].reason == "unfilled_gaps"


def test_a_bad_tick_becomes_a_filled_hole_marked_outlier() -> None:
    closes = CLOSES.copy()
    where = _index("2024-01-17T10:00")
    closes[where] *= 1.1
    clean = _clean(bars(OPENS, closes))
    row = _row(clean, "2024-01-17T10:00")
    assert (row["filled"], row["quality_flag"], row["spike_flag"]) == (True, "outlier", False)
    assert row["close"] == pytest.approx((closes[where - 1] + closes[where + 1]) / 2)
    counts = clean.months["2024-01"].counts
    assert (counts.outlier_bars, counts.missing_gaps, counts.filled_bars) == (1, 0, 1)


def test_a_missing_bar_beside_a_bad_tick_is_one_hole_of_two() -> None:
    closes = CLOSES.copy()
    where = _index("2024-01-17T10:00")
    closes[where] *= 1.1
    kept = np.arange(OPENS.size) != where - 1
    clean = _clean(bars(OPENS[kept], closes[kept]))
    assert _row(clean, "2024-01-17T09:00")["quality_flag"] == "missing"
    assert _row(clean, "2024-01-17T10:00")["quality_flag"] == "outlier"


def test_a_bad_tick_at_the_very_edge_of_a_session_only_shortens_it() -> None:
    closes = CLOSES.copy()
    closes[_index("2024-01-14T23:00")] *= 1.1
    kept = np.arange(OPENS.size) != _index("2024-01-14T22:00")  # the late open before it is within the tolerance
    clean = _clean(bars(OPENS[kept], closes[kept]))
    assert clean.months["2024-01"].counts.outlier_bars == 1
    assert len(clean.bars) == OPENS.size - 2
    assert not clean.bars["filled"].any()
    assert not clean.months["2024-01"].findings


def test_a_jump_is_kept_and_its_flag_carried_into_the_hole_after_it() -> None:
    closes = CLOSES.copy()
    where = _index("2024-01-17T10:00")
    closes[where:] *= 1.1
    kept = np.arange(OPENS.size) != where + 1
    clean = _clean(bars(OPENS[kept], closes[kept]))
    assert (_row(clean, "2024-01-17T10:00")["spike_flag"], _row(clean, "2024-01-17T10:00")["filled"]) == (True, False)
    after = _row(clean, "2024-01-17T11:00")
    assert (after["spike_flag"], after["filled"]) == (True, True)
    assert clean.months["2024-01"].counts.spike_flags == 2


def test_a_suspicious_newest_bar_is_held() -> None:
    closes = CLOSES.copy()
    closes[-1] *= 1.1
    clean = _clean(bars(OPENS, closes))
    assert clean.held == OPENS[-1]
    assert len(clean.bars) == OPENS.size - 1


@given(
    absent=st.sets(st.integers(1, OPENS.size - 2), max_size=60),
    ticks=st.sets(st.integers(130, OPENS.size - 2), max_size=10),
)
@settings(max_examples=40, deadline=None)
def test_filling_stays_inside_a_session_and_touches_no_other_bar(absent: set[int], ticks: set[int]) -> None:
    closes = CLOSES.copy()
    closes[sorted(ticks)] *= 1.1
    kept = np.array([i not in absent for i in range(OPENS.size)])
    raw = bars(OPENS[kept], closes[kept])
    clean = _clean(raw)
    frame = clean.bars
    ts, filled = epoch_seconds(frame["ts"]), frame["filled"].to_numpy()
    assert np.isin(ts, OPENS).all()
    session = session_ids(FX, HOUR, ts)
    runs = np.flatnonzero(filled)
    assert not (set(runs) & {0, len(frame) - 1})
    for i in runs:
        before, after = i - 1, i + 1
        while filled[before]:
            before -= 1
        while filled[after]:
            after += 1
        assert after - before - 1 <= THRESHOLDS.max_filled_gap_bars
        assert session[before] == session[i] == session[after]
        assert (ts[after] - ts[before]) == (after - before) * HOUR
        assert frame["close"][before] == frame["close"][after] or (
            min(frame["close"][before], frame["close"][after])
            <= frame["close"][i]
            <= max(frame["close"][before], frame["close"][after])
        )
    untouched = frame[~filled].merge(raw, on=list(raw.columns))
    assert len(untouched) == int((~filled).sum())
    total = sum(month.counts.bars_written for month in clean.months.values())
    assert total == len(frame)


@given(cut=st.integers(200, OPENS.size), absent=st.sets(st.integers(1, OPENS.size - 2), max_size=40))
@settings(max_examples=40, deadline=None)
def test_clean_bars_never_change_when_later_bars_arrive(cut: int, absent: set[int]) -> None:
    closes = CLOSES.copy()
    closes[600:] *= 1.1
    closes[700] *= 1.1
    kept = np.array([i not in absent for i in range(OPENS.size)])
    raw = bars(OPENS[kept], closes[kept])
    whole = clean_bars(raw, FX, HOUR, THRESHOLDS).bars
    early = clean_bars(raw.iloc[: min(cut, len(raw))], FX, HOUR, THRESHOLDS).bars
    same = whole[whole["ts"] <= early["ts"].iloc[-1]].reset_index(drop=True)
    pd.testing.assert_frame_equal(early, same, check_exact=True)


def test_every_fault_the_simulator_plants_is_found() -> None:
    config = examples.simulator()
    universe = examples.settings("dev").universe
    market = simulate_market(config, universe, HOUR)
    cleaned = {
        symbol: clean_bars(raw, universe.calendars[universe.symbols[symbol].calendar], HOUR, THRESHOLDS)
        for symbol, raw in market.bars.items()
    }
    kinds = dict.fromkeys(("bad_tick", "jump", "gap", "long_gap"), 0)
    for fault in market.faults:
        if fault.kind not in kinds:
            continue
        for symbol in fault.symbols:
            clean = cleaned[symbol]
            stamps = epoch_seconds(clean.bars["ts"])
            rows = clean.bars[(stamps >= fault.first) & (stamps < fault.first + fault.bars * HOUR)]
            month = clean.months[str(np.datetime64(fault.first, "s"))[:7]]
            if fault.kind == "bad_tick":
                kinds[fault.kind] += rows["quality_flag"].tolist() == ["outlier"]
            elif fault.kind == "jump":
                kinds[fault.kind] += bool(rows["spike_flag"].all())
            elif fault.kind == "gap":
                assert rows["quality_flag"].tolist() == ["missing"] * fault.bars
                kinds[fault.kind] += 1
            else:
                assert rows.empty
                assert month.findings
                kinds[fault.kind] += 1
    planted = {kind: sum(len(fault.symbols) for fault in market.faults if fault.kind == kind) for kind in kinds}
    assert kinds["gap"] == planted["gap"]
    assert kinds["long_gap"] == planted["long_gap"]
    assert kinds["bad_tick"] >= 0.95 * planted["bad_tick"] > 0
    assert kinds["jump"] >= 0.7 * planted["jump"] > 0


def test_expected_bars_of_the_example_lie_in_several_sessions() -> None:
    assert len(set(expected_bars(FX, HOUR, START, END).session)) == 11
