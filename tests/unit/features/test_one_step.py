"""Live equals batch, the future changes nothing, segments start anew, and still prices give NaN."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.features.batch import build_features
from core.features.kernels.snapshot import state_from_bytes, state_to_bytes
from core.features.live import LiveFeatures, cut_bars
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars
from tests.unit.features.bars import join_bars, make_bars, policy_windows, short_windows, simulated_bars

ENOUGH = 60
"""Bars that fill every short window with some to spare."""


def bits(table: FeatureTable, end: int | None = None) -> bytes:
    """All numbers of the first rows, as bytes: NaN equals NaN and −0 differs from 0."""
    held = (table.alpha, table.spread_mean, table.spread_sd)
    return b"".join(np.ascontiguousarray(values[:end]).tobytes() for values in (table.values, *held))


closes = st.lists(
    st.tuples(st.sampled_from([1.0, 1.0001, 1.01, 0.9, 250.0]), st.floats(1e-3, 1e3)), min_size=2, max_size=80
)


def bars_of(prices: list[tuple[float, float]], segments: int = 1) -> PairBars:
    n = len(prices)
    segment = (np.arange(n) * segments // n).astype(np.int64)
    a, b = (np.array(leg, dtype=np.float64) for leg in zip(*prices, strict=True))
    return make_bars([a, b], random=np.random.default_rng(n), spread=1e-3, segment=segment)


@given(prices=closes, segments=st.integers(1, 3), data=st.data())
@settings(deadline=None)
def test_any_cut_of_a_history_gives_the_same_bits(
    prices: list[tuple[float, float]], segments: int, data: st.DataObject
) -> None:
    bars = bars_of(prices, segments)
    cut = data.draw(st.integers(0, len(bars)))
    live = LiveFeatures(short_windows())
    before = live.take(cut_bars(bars, 0, cut))
    resumed = LiveFeatures(short_windows(), state_from_bytes(state_to_bytes(live.snapshot())))
    after = resumed.take(cut_bars(bars, cut, len(bars)))
    whole = build_features(bars, short_windows())
    assert bits(whole, cut) == bits(before)
    np.testing.assert_array_equal(whole.values[cut:], after.values)


def test_bar_by_bar_equals_batch_with_the_policy_windows() -> None:
    bars = simulated_bars(1600, seed=8)
    live = LiveFeatures(policy_windows())
    rows = [live.take(cut_bars(bars, i, i + 1)) for i in range(len(bars))]
    whole = build_features(bars, policy_windows())
    assert np.concatenate([row.values for row in rows]).tobytes() == whole.values.tobytes()
    assert np.concatenate([row.spread_sd for row in rows]).tobytes() == whole.spread_sd.tobytes()


@given(prices=closes, other=closes, data=st.data())
@settings(deadline=None)
def test_later_bars_change_no_earlier_row(
    prices: list[tuple[float, float]], other: list[tuple[float, float]], data: st.DataObject
) -> None:
    bars, later = bars_of(prices), bars_of(other)
    cut = data.draw(st.integers(0, len(bars)))
    known = cut_bars(bars, 0, cut)
    replaced = join_bars(known, later)
    assert bits(build_features(replaced, short_windows()), cut) == bits(build_features(known, short_windows()))


@given(prices=closes)
@settings(deadline=None)
def test_no_value_is_infinite_whatever_the_prices(prices: list[tuple[float, float]]) -> None:
    table = build_features(bars_of(prices), short_windows())
    assert not np.isinf(table.values).any()


def test_a_snapshot_stays_as_it_was() -> None:
    live = LiveFeatures(short_windows())
    live.take(simulated_bars(ENOUGH, seed=1))
    snapshot = live.snapshot()
    kept = state_to_bytes(snapshot)
    live.take(simulated_bars(ENOUGH, seed=2))
    LiveFeatures(short_windows(), snapshot).take(simulated_bars(ENOUGH, seed=3))
    assert state_to_bytes(snapshot) == kept


def test_bytes_that_are_no_state_are_refused() -> None:
    with pytest.raises(ValueError, match="not a kernel state"):
        state_from_bytes(b"")


def test_a_segment_starts_as_if_nothing_came_before_it() -> None:
    first, second = simulated_bars(ENOUGH, seed=1), simulated_bars(ENOUGH, seed=2)
    segment = np.repeat(np.array([0, 1]), ENOUGH).astype(np.int64)
    both = dataclasses.replace(join_bars(first, second), segment=segment)
    table = build_features(both, short_windows())
    np.testing.assert_array_equal(table.values[ENOUGH:], build_features(second, short_windows()).values)
    assert np.isnan(table.column("z")[ENOUGH : ENOUGH + 9]).all()


@pytest.mark.parametrize("still", ["a", "b", "both", "identical", "proportional"])
def test_legs_that_do_not_move_apart_have_no_z(still: str) -> None:
    moving = simulated_bars(300, seed=9)
    constant = np.full(300, 1.37)
    legs = {
        "a": [constant, moving.close_b],
        "b": [moving.close_a, constant],
        "both": [constant, constant],
        "identical": [moving.close_a, moving.close_a],
        "proportional": [moving.close_a, 7.3 * moving.close_a],
    }[still]
    table = build_features(make_bars(legs, np.random.default_rng(0), 1e-3), short_windows())
    for name in ("z", "dz", "z_ema", "speed", "atr_spread", "ema_gap_spread", "slope_spread"):
        assert np.isnan(table.column(name)).all(), name
    assert not np.isinf(table.values).any()


def test_prices_that_stop_lose_z_once_the_window_is_still_and_regain_it_after() -> None:
    windows = short_windows()
    before, after = simulated_bars(80, seed=1), simulated_bars(80, seed=3)
    halted = make_bars([np.full(60, before.close_a[-1]), np.full(60, before.close_b[-1])])
    z = build_features(join_bars(before, halted, after), windows).column("z")
    assert np.isfinite(z[40:80]).all()
    assert np.isnan(z[80 + windows.beta + windows.z : 140]).all()
    assert np.isfinite(z[140 + windows.beta + windows.z :]).all()


def test_flags_are_counted_on_both_legs() -> None:
    bars = make_bars([np.linspace(1, 2, 12), np.linspace(2, 1, 12)])
    filled, spike = np.zeros(12, np.uint8), np.zeros(12, np.uint8)
    filled[[6, 7]] = (2, 1)
    spike[11] = 1
    table = build_features(dataclasses.replace(bars, filled=filled, spike=spike), short_windows())
    assert table.column("filled_share")[4:].tolist() == [0, 0, 0.2, 0.3, 0.3, 0.3, 0.3, 0.1]
    assert table.column("spike_share")[-1] == 0.1


def test_read_only_and_strided_arrays_are_taken() -> None:
    bars = simulated_bars(ENOUGH, seed=4)
    doubled = np.repeat(bars.close_a, 2)[::2]
    doubled.flags.writeable = False
    table = build_features(dataclasses.replace(bars, close_a=doubled), short_windows())
    assert bits(table) == bits(build_features(bars, short_windows()))
    assert table.values.shape == (ENOUGH, len(FEATURE_COLUMNS))


def test_no_bars_give_no_rows() -> None:
    assert build_features(cut_bars(simulated_bars(5, seed=1), 0, 0), short_windows()).values.shape == (0, 20)
