"""Position paths against a plain loop written from FORMULAS.md, and against examples worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.features.table import FeatureTable
from core.labels.ai3 import label_ai3
from core.labels.exits import ExitReason, PositionPaths, scan_paths
from core.labels.starts import find_starts
from core.market.pairs import PairBars
from tests.unit.labels.synthetic import decision, feature_table, pair_bars, policy, random_pair

Path = tuple[int, int, int, int, float]


def _plain_path(bars: PairBars, table: FeatureTable, t: int, horizon: int, path: str, loss_limit: float) -> Path:
    """entry, exit_decision, exit, reason, adverse."""
    inside = [u for u in range(t + 1, len(bars)) if bars.segment[u] == bars.segment[t]]
    tradable = [u for u in inside if bars.filled[u] == 0]
    if not tradable or tradable[0] > t + horizon:
        return -1, -1, -1, ExitReason.CUT_OFF, math.nan
    entry = tradable[0]
    z, beta = table.column("z"), table.column("beta")[t]
    sign = math.copysign(1.0, z[t])
    weight_a, weight_b = -sign / (1 + abs(beta)), sign * beta / (1 + abs(beta))
    worst = 0.0
    for u in inside:
        if u < entry:
            continue
        gain = weight_a * (bars.close_a[u] / bars.open_a[entry] - 1.0)
        gain += weight_b * (bars.close_b[u] / bars.open_b[entry] - 1.0)
        if u <= t + horizon:
            worst = max(worst, -gain)
        if bars.filled[u] or bars.spike[u]:
            continue
        spread = math.log(bars.close_a[u]) - beta * math.log(bars.close_b[u]) - table.alpha[t]
        held = (spread - table.spread_mean[t]) / table.spread_sd[t]
        if path == "rolling":
            reverted, stopped = abs(z[u]) <= 0.5, abs(z[u]) >= 4.0
        else:
            reverted, stopped = abs(held) <= 0.5 or held * sign < 0, abs(held) >= 4.0
        rules = [
            (ExitReason.REVERTED, reverted),
            (ExitReason.Z_STOP, stopped),
            (ExitReason.LOSS_LIMIT, -gain > loss_limit),
            (ExitReason.HORIZON, u >= t + horizon),
        ]
        for reason, holds in rules:
            if holds:
                leaving = [v for v in tradable if v > u]
                return entry, u, leaving[0] if leaving else -1, reason, worst
    return entry, -1, -1, ExitReason.CUT_OFF, math.nan


@pytest.mark.parametrize("path", ["rolling", "frozen"])
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 160),
    horizon=st.integers(1, 30),
    filled_share=st.sampled_from([0.0, 0.1, 0.6]),
    loss_limit=st.sampled_from([0.005, 0.03, 1.0]),
)
def test_paths_equal_a_plain_loop(
    path: str, seed: int, n: int, horizon: int, filled_share: float, loss_limit: float
) -> None:
    bars, table = random_pair(seed, n, filled_share=filled_share)
    label = policy(horizon, path)
    starts = find_starts(bars, table, label, decision())
    paths = scan_paths(bars, table, starts, label, decision(loss_limit=loss_limit))
    expected = [_plain_path(bars, table, t, horizon, path, loss_limit) for t in starts]
    for k, (entry, exit_decision, exit_bar, reason, adverse) in enumerate(expected):
        got = (paths.entry[k], paths.exit_decision[k], paths.exit[k], paths.reason[k])
        assert got == (entry, exit_decision, exit_bar, reason)
        np.testing.assert_allclose(paths.adverse[k], adverse, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(np.abs(paths.weight_a) + np.abs(paths.weight_b), 1.0)


def _single(
    close_a: list[float], z: list[float], *, filled: list[int] | None = None, horizon: int = 4
) -> PositionPaths:
    """The path of a start at bar 0, B worth 1 throughout, β = 1."""
    bars = pair_bars(
        np.array(close_a),
        np.ones(len(close_a)),
        filled=None if filled is None else np.array(filled, dtype=np.uint8),
    )
    table = feature_table(bars, z=np.array(z), beta=1.0)
    return scan_paths(bars, table, np.array([0], dtype=np.int64), policy(horizon), decision())


def _story(paths: PositionPaths) -> tuple[int, int, int, ExitReason]:
    return int(paths.entry[0]), int(paths.exit_decision[0]), int(paths.exit[0]), ExitReason(paths.reason[0])


def test_a_short_spread_that_comes_back() -> None:
    # z = 2.5: sell A, buy B, half of gross each. Opened at bar 1's open = 1.00. A rises to 1.02 at bar 1's close:
    # loss 0.5 · 2 % = 1 %. z is back at bar 2's close; out at bar 3's open.
    paths = _single([1.00, 1.02, 0.99, 0.99, 0.99, 0.99], [2.5, 2.6, 0.3, 0.0, 0.0, 0.0])
    assert _story(paths) == (1, 2, 3, ExitReason.REVERTED)
    assert (paths.side[0], paths.weight_a[0], paths.weight_b[0]) == (-1, -0.5, 0.5)
    assert paths.adverse[0] == pytest.approx(0.01)


def test_z_runs_away() -> None:
    paths = _single([1.0, 1.0, 1.0, 1.0], [-2.5, -3.9, -4.0, 0.0])
    assert _story(paths) == (1, 2, 3, ExitReason.Z_STOP)
    assert paths.side[0] == 1


def test_loss_beyond_the_limit_is_marked_at_closes_against_the_entry() -> None:
    # 6 % against half of gross is exactly the limit of 3 %; 6.2 % is beyond it.
    paths = _single([1.0, 1.06 - 1e-9, 1.062, 1.0], [2.5, 2.5, 2.5, 2.5])
    assert _story(paths) == (1, 2, 3, ExitReason.LOSS_LIMIT)
    assert paths.adverse[0] == pytest.approx(0.031)


def test_the_horizon_counts_from_the_decision_bar() -> None:
    assert _story(_single([1.0] * 7, [2.5] * 7, horizon=4)) == (1, 4, 5, ExitReason.HORIZON)


def test_fills_wait_for_a_bar_with_no_filled_leg() -> None:
    # Bar 1 is filled: entry at bar 2. Its z of 0.1 does not close a position that is not open yet.
    paths = _single([1.0] * 7, [2.5, 0.1, 2.5, 0.4, 0.0, 0.0, 0.0], filled=[0, 1, 0, 0, 2, 1, 0])
    assert _story(paths) == (2, 3, 6, ExitReason.REVERTED)


def test_an_exit_decided_on_the_last_bar_has_no_fill() -> None:
    assert _story(_single([1.0] * 3, [2.5, 2.5, 0.0])) == (1, 2, -1, ExitReason.REVERTED)


def test_a_position_open_at_the_end_of_data_is_cut_off() -> None:
    paths = _single([1.0] * 3, [2.5, 2.5, 2.5])
    assert _story(paths) == (1, -1, -1, ExitReason.CUT_OFF)
    assert math.isnan(paths.adverse[0])


def test_ai3_drops_cut_off_windows_even_when_the_position_had_left() -> None:
    bars = pair_bars(np.ones(6), np.ones(6))
    table = feature_table(bars, z=np.array([2.5, 2.5, 2.5, 0.0, 0.0, 0.0]), beta=1.0)
    starts = np.array([0, 1, 2], dtype=np.int64)
    paths = scan_paths(bars, table, starts, policy(4), decision())
    assert (paths.exit_decision >= 0).all()
    np.testing.assert_array_equal(label_ai3(paths, bars.segment, 4), [0.0, 0.0, math.nan])


def test_a_filled_bar_decides_nothing() -> None:
    # z is back at bar 2, whose close was interpolated with bar 3: bar 3 decides, bar 4 fills.
    filled = [0, 0, 1, 0, 0, 0]
    assert _story(_single([1.0] * 6, [2.5, 2.5, 0.1, 0.1, 0.1, 0.1], filled=filled)) == (1, 3, 4, ExitReason.REVERTED)
    # The horizon of 4 ends on a filled bar: the bar after it decides.
    filled = [0, 0, 0, 0, 1, 0, 0]
    assert _story(_single([1.0] * 7, [2.5] * 7, filled=filled)) == (1, 5, 6, ExitReason.HORIZON)


def test_a_spike_bar_decides_nothing() -> None:
    bars = replace(pair_bars(np.ones(6), np.ones(6)), spike=np.array([0, 0, 2, 0, 0, 0], dtype=np.uint8))
    table = feature_table(bars, z=np.array([2.5, 2.5, 0.1, 2.5, 0.1, 0.1]), beta=1.0)
    paths = scan_paths(bars, table, np.array([0], dtype=np.int64), policy(4), decision())
    assert _story(paths) == (1, 4, 5, ExitReason.REVERTED)
