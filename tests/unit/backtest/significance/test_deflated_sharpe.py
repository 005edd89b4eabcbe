from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backtest.metrics import probabilistic_sharpe, probabilistic_sharpe_of, sharpe
from core.backtest.significance.deflated_sharpe import deflated_sharpe, expected_maximum


def test_the_example_of_bailey_and_lopez_de_prado() -> None:
    # "The Deflated Sharpe Ratio": 1,250 days, annual SR 2.5, skewness −3, kurtosis 10, variance of the trials 1/2 a
    # year. 100 independent trials: SR* 0.1132 a day, DSR 0.9004; 46 trials: 0.9505.
    deviation = math.sqrt(0.5 / 250)
    assert deviation * expected_maximum(100) == pytest.approx(0.1132, abs=5e-5)
    for trials, expected in ((100, 0.9004), (46, 0.9505)):
        benchmark = deviation * expected_maximum(trials)
        found = probabilistic_sharpe_of(2.5 / math.sqrt(250), benchmark, -3.0, 10.0, 1250)
        assert found == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("n", [2, 10, 100, 1000])
def test_the_expected_maximum_is_that_of_normals(n: int) -> None:
    drawn = np.random.default_rng(1).normal(size=(4000, n)).max(axis=1).mean()
    assert expected_maximum(n) == pytest.approx(drawn, abs=0.08)


def test_a_single_trial_is_not_deflated() -> None:
    returns = np.random.default_rng(2).normal(0.0004, 0.003, 260)
    found = deflated_sharpe(returns, np.array([sharpe(returns, 260)]), 260)
    assert found.benchmark == 0.0
    assert found.probability == probabilistic_sharpe(returns, 0.0)
    assert (found.n_trials, found.n_days) == (1, 260)
    with pytest.raises(ValueError, match="highest of none"):
        expected_maximum(0)


def test_by_hand() -> None:
    # symmetric two-sided returns: skewness 0 and kurtosis 1 leave Φ((SR − SR*)·√(n − 1))
    returns = np.tile([0.011, -0.009], 130)
    ratios = np.array([0.4, 0.6, 0.8])
    found = deflated_sharpe(returns, ratios, 260)
    benchmark = 0.2 * expected_maximum(3)
    assert found.benchmark == pytest.approx(benchmark)
    daily = returns.mean() / returns.std(ddof=1) - benchmark / math.sqrt(260)
    assert found.probability == pytest.approx(0.5 * math.erfc(-daily * math.sqrt(259) / math.sqrt(2)), rel=1e-9)


def test_trials_that_differ_by_more_than_chance_raise_the_bar_no_further() -> None:
    returns = np.random.default_rng(2).normal(0.0004, 0.003, 261)
    apart, further = (deflated_sharpe(returns, scale * np.linspace(-9, 1, 30), 260) for scale in (1.0, 5.0))
    # 260 a year over 260 degrees of freedom: chance alone gives annual ratios a variance of 1
    assert apart.benchmark == further.benchmark == pytest.approx(expected_maximum(30))


def test_the_best_of_many_without_skill_lies_about_the_benchmark() -> None:
    rng = np.random.default_rng(5)
    above = 0
    for _ in range(200):
        trials = rng.normal(0.0, 0.003, (60, 260))
        ratios = np.array([sharpe(each, 260) for each in trials])
        above += deflated_sharpe(trials[ratios.argmax()], ratios, 260).probability > 0.5
    assert 60 <= above <= 110  # the mean of a maximum lies above its median


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.integers(2, 40), st.integers(0, 9))
def test_more_trials_never_raise_the_probability(ratios: list[float], n_days: int, seed: int) -> None:
    returns = np.random.default_rng(seed).normal(0.0, 0.003, n_days)
    once, twice = (deflated_sharpe(returns, np.array(ratios * times), 260) for times in (1, 2))
    assert 0.0 <= once.probability <= 1.0
    assert math.isfinite(once.benchmark)
    # doubling the trials leaves the population variance as it is; ddof 1 lowers the sample's by at most this
    shrink = math.sqrt((len(ratios) * 2 - 2) / (len(ratios) * 2 - 1)) if len(ratios) > 1 else 0.0
    assert twice.benchmark >= once.benchmark * shrink - 1e-12


@pytest.mark.parametrize("returns", [[], [0.01], [0.0] * 200])
def test_returns_that_show_nothing_have_probability_zero(returns: list[float]) -> None:
    found = deflated_sharpe(np.array(returns), np.array([0.0, 0.0]), 260)
    assert (found.probability, found.sharpe, found.benchmark) == (0.0, 0.0, 0.0)


def test_without_trials_or_with_a_missing_one_there_is_none() -> None:
    for ratios in ([], [1.0, math.nan]):
        with pytest.raises(ValueError, match="trials"):
            deflated_sharpe(np.zeros(10), np.array(ratios), 260)
