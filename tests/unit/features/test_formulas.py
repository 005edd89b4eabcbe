"""The kernel against the plain version of every formula."""

from __future__ import annotations

import numpy as np
import pytest

from core.config.core_policy import FeatureWindows
from core.features.batch import build_features
from core.features.table import FEATURE_COLUMNS
from core.market.pairs import PairBars
from tests.unit.features.bars import policy_windows, real_bars, short_windows, simulated_bars
from tests.unit.features.plain import plain_features


def assert_agrees(bars: PairBars, windows: FeatureWindows, share_of_scale: float) -> None:
    """NaN in the same places, and values that differ by less than a share of the column's typical size."""
    table, plain = build_features(bars, windows), plain_features(bars, windows)
    expected = {name: plain.values[name].to_numpy() for name in FEATURE_COLUMNS}
    found = {name: table.column(name) for name in FEATURE_COLUMNS}
    for name in ("alpha", "spread_mean", "spread_sd"):
        expected[name], found[name] = getattr(plain, name), getattr(table, name)
    for name, values in expected.items():
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(values), err_msg=name)
        scale = np.nanmean(np.abs(values)) or 1.0
        np.testing.assert_allclose(found[name], values, rtol=share_of_scale, atol=share_of_scale * scale, err_msg=name)


@pytest.mark.parametrize("windows", [policy_windows(), short_windows()], ids=["policy", "short"])
def test_features_follow_the_formulas_on_simulated_bars(windows: FeatureWindows) -> None:
    assert_agrees(simulated_bars(2500, seed=3), windows, 1e-9)


def test_price_levels_cost_no_digits() -> None:
    bars = simulated_bars(2500, seed=4, level_a=1e6, level_b=1e-4)
    assert_agrees(bars, policy_windows(), 1e-9)


@pytest.mark.parametrize(("a", "b"), [("EURJPY", "GBPJPY"), ("XAUUSD", "AUDUSD")])
def test_features_follow_the_formulas_on_nine_years_of_real_bars(a: str, b: str) -> None:
    assert_agrees(real_bars(a, b), policy_windows(), 1e-9)


def test_first_complete_row_is_the_one_the_windows_ask_for() -> None:
    windows = policy_windows()
    complete = np.flatnonzero(np.isfinite(build_features(simulated_bars(900, seed=5), windows).values).all(axis=1))
    assert windows.beta + windows.dd_recent - 1 == 659
    np.testing.assert_array_equal(complete, np.arange(659, 900))
