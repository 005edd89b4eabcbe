"""Labels against plain loops written from FORMULAS.md, and against examples worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.features.table import FeatureTable
from core.labels.ai1 import label_ai1
from core.labels.ai2 import label_ai2
from core.labels.starts import find_starts
from core.market.pairs import PairBars
from tests.unit.labels.synthetic import decision, feature_table, pair_bars, policy, random_pair


def _window(bars: PairBars, t: int, horizon: int) -> range | None:
    """Bars (t, t+M], or None when data or the segment end first."""
    window = range(t + 1, t + horizon + 1)
    whole = window[-1] < len(bars) and bars.segment[window[-1]] == bars.segment[t]
    return window if whole else None


def _plain_ai1(bars: PairBars, table: FeatureTable, t: int, horizon: int, path: str) -> float:
    window = _window(bars, t, horizon)
    if window is None:
        return math.nan
    z, beta = table.column("z"), table.column("beta")
    for u in window:
        if path == "rolling":
            hit = abs(z[u]) <= 0.5
        else:
            spread = math.log(bars.close_a[u]) - beta[t] * math.log(bars.close_b[u]) - table.alpha[t]
            held = (spread - table.spread_mean[t]) / table.spread_sd[t]
            hit = abs(held) <= 0.5 or np.sign(held) != np.sign(z[t])
        if hit:
            return 1.0
    return 0.0


def _plain_ai2(bars: PairBars, table: FeatureTable, t: int, horizon: int) -> float:
    window = _window(bars, t, horizon)
    if window is None:
        return math.nan
    limits = {"rho_var": 0.025, "atr_ratio": 1.8, "speed": 0.12, "dd_recent": 0.07}
    return float(any(table.column(name)[u] > limit for u in window for name, limit in limits.items()))


@pytest.mark.parametrize("path", ["rolling", "frozen"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 160), horizon=st.integers(1, 30), segments=st.integers(1, 4))
def test_labels_equal_plain_loops(path: str, seed: int, n: int, horizon: int, segments: int) -> None:
    bars, table = random_pair(seed, n, segments=segments)
    label = policy(horizon, path)
    starts = find_starts(bars, table, label, decision())
    ai1 = label_ai1(bars, table, starts, label.ai1)
    ai2 = label_ai2(table, starts, label.ai2, horizon)
    np.testing.assert_array_equal(ai1, [_plain_ai1(bars, table, t, horizon, path) for t in starts])
    np.testing.assert_array_equal(ai2, [_plain_ai2(bars, table, t, horizon) for t in starts])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(60, 160), cut=st.integers(1, 159))
def test_a_label_known_at_t_ignores_every_later_bar(seed: int, n: int, cut: int) -> None:
    bars, table = random_pair(seed, n, segments=1)
    cut = min(cut, n - 1)
    noisy_z = table.column("z").copy()
    noisy_z[cut:] = np.random.default_rng(seed).normal(0.0, 5.0, n - cut)
    values = table.values.copy()
    values[:, 2] = noisy_z
    noisy = FeatureTable(
        table.pair_id, table.ts, table.segment, values, table.alpha, table.spread_mean, table.spread_sd
    )
    label = policy(20)
    starts = np.flatnonzero(np.abs(table.column("z")[: max(cut - 20, 0)]) >= 2.0).astype(np.int64)
    before, after = (label_ai1(bars, features, starts, label.ai1) for features in (table, noisy))
    np.testing.assert_array_equal(before, after)


def test_a_start_needs_a_large_slow_clean_finite_row() -> None:
    bars = pair_bars(np.ones(8), np.ones(8), filled=np.array([0, 0, 1, 0, 0, 0, 0, 0], dtype=np.uint8))
    bars.spike[3] = 1
    z = np.array([2.0, -2.0, 3.0, 3.0, 1.99, 5.0, 3.0, 3.0])
    speed = np.array([0.12, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1201, 0.0])
    half_life = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, np.nan])
    table = feature_table(bars, z=z, speed=speed, half_life=half_life)
    assert find_starts(bars, table, policy(), decision()).tolist() == [0, 1, 5]


def test_rolling_path_by_hand() -> None:
    # M = 3. From bar 0 z returns at bar 3, its last chance; from bar 1 at bar 3; from bar 2 the window ends with the
    # data (bar 5); from bar 3 on it is cut off, although bar 4 already shows a hit.
    z = np.array([2.5, 2.2, 2.1, -0.5, 0.51, 0.4])
    bars = pair_bars(np.ones(6), np.ones(6))
    table = feature_table(bars, z=z)
    starts = np.arange(6, dtype=np.int64)
    got = label_ai1(bars, table, starts, policy(3).ai1)
    np.testing.assert_array_equal(got, [1.0, 1.0, 1.0, math.nan, math.nan, math.nan])
    got = label_ai1(bars, table, starts[:2], policy(2).ai1)
    np.testing.assert_array_equal(got, [0.0, 1.0])


def test_a_segment_end_cuts_windows_like_the_end_of_data() -> None:
    z = np.array([2.5, 0.0, 2.5, 0.0, 0.0, 0.0])
    bars = pair_bars(np.ones(6), np.ones(6), segment=np.array([0, 0, 0, 1, 1, 1]))
    got = label_ai1(bars, feature_table(bars, z=z), np.array([0, 2]), policy(2).ai1)
    np.testing.assert_array_equal(got, [1.0, math.nan])


def test_frozen_path_by_hand() -> None:
    # β = 1, α = 0.01, mean = 0, sd = 0.01: z* = (ln A − ln B − 0.01)/0.01. At bar 0 ln A = 0.04, so z* = 3; it jumps
    # to −2 at bar 2 without ever standing within 0.5 of zero: it crossed, so it reverted.
    close_a = np.exp(np.array([0.04, 0.03, -0.01, -0.01]))
    bars = pair_bars(close_a, np.ones(4))
    table = feature_table(bars, z=np.array([3.0, 3.0, 3.0, 3.0]), beta=1.0, alpha=0.01, spread_sd=0.01)
    starts = np.array([0], dtype=np.int64)
    assert label_ai1(bars, table, starts, policy(1, "frozen").ai1).tolist() == [0.0]
    assert label_ai1(bars, table, starts, policy(2, "frozen").ai1).tolist() == [1.0]
    assert label_ai1(bars, table, starts, policy(2, "rolling").ai1).tolist() == [0.0]


@pytest.mark.parametrize(
    ("name", "at_limit", "beyond"),
    [("rho_var", 0.025, 0.0251), ("atr_ratio", 1.8, 1.81), ("speed", 0.12, 0.121), ("dd_recent", 0.07, 0.0701)],
)
def test_each_risk_condition_counts_after_t_only(name: str, at_limit: float, beyond: float) -> None:
    bars = pair_bars(np.ones(4), np.ones(4))
    starts = np.array([0], dtype=np.int64)

    def risk(column: list[float]) -> float:
        table = feature_table(bars, **{name: np.array(column)})
        return float(label_ai2(table, starts, policy().ai2, 2)[0])

    assert risk([beyond, at_limit, at_limit, beyond]) == 0.0
    assert risk([at_limit, at_limit, beyond, at_limit]) == 1.0


def test_a_table_of_another_pair_is_refused() -> None:
    bars = pair_bars(np.ones(3), np.ones(3))
    other = feature_table(pair_bars(np.ones(3), np.ones(3), pair_id="C_D"))
    with pytest.raises(ValueError, match="C_D"):
        find_starts(bars, other, policy(), decision())
