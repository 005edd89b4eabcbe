from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.backtest.metrics import annual_return, max_drawdown, normal_cdf, probabilistic_sharpe, sharpe, trades_per_year


def test_sharpe_by_hand() -> None:
    # mean 0.01, sd (ddof 1) 0.01
    assert sharpe(np.array([0.0, 0.01, 0.02]), 260) == pytest.approx(math.sqrt(260))


@pytest.mark.parametrize("returns", [[], [0.01], [0.0] * 50, [0.001] * 50])
def test_returns_that_show_nothing_have_sharpe_and_psr_zero(returns: list[float]) -> None:
    assert sharpe(np.array(returns), 260) == 0.0
    assert probabilistic_sharpe(np.array(returns), 0.0) == 0.0


def test_max_drawdown_by_hand() -> None:
    assert max_drawdown(np.array([100.0, 120.0, 90.0, 130.0, 117.0])) == pytest.approx(0.25)
    assert max_drawdown(np.array([100.0])) == 0.0
    assert max_drawdown(np.array([])) == 0.0
    assert max_drawdown(np.array([100.0, -5.0])) == 1.0


def test_annual_return_is_geometric() -> None:
    assert annual_return(np.array([100.0, 90.0, 121.0]), 2.0) == pytest.approx(0.1)
    assert annual_return(np.array([100.0, 0.0]), 1.0) == -1.0
    assert annual_return(np.array([100.0, 110.0]), 0.0) == 0.0


def test_trades_per_year() -> None:
    assert trades_per_year(75, 0.5) == 150.0
    assert trades_per_year(0, 1.0) == 0.0
    assert trades_per_year(3, 0.0) == 0.0


def test_psr_of_normal_returns_is_the_normal_test() -> None:
    # symmetric two-sided returns: skewness 0, kurtosis 1, so the denominator is 1 and only SR·√(n−1) remains
    returns = np.tile([0.011, -0.009], 130)
    ratio = returns.mean() / returns.std(ddof=1)
    assert probabilistic_sharpe(returns, 0.0) == pytest.approx(normal_cdf(ratio * math.sqrt(259)), rel=1e-9)


def test_psr_matches_the_example_of_bailey_and_lopez_de_prado() -> None:
    # The paper's hedge fund: 24 monthly returns, annual SR 1.585, skewness −2.448, kurtosis 10.164 -> PSR(0) 0.913.
    ratio, skewness, kurtosis, n = 0.458, -2.448, 10.164, 24
    spread = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    assert normal_cdf(ratio * math.sqrt(n - 1) / math.sqrt(spread)) == pytest.approx(0.913, abs=2e-3)
    rng = np.random.default_rng(4)
    returns = 0.02 + 0.03 * rng.standard_t(4, 24) - 0.06 * (np.arange(24) == 7)
    centred = returns - returns.mean()
    skewness = float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)
    kurtosis = float(np.mean(centred**4) / np.mean(centred**2) ** 2)
    ratio = float(returns.mean() / returns.std(ddof=1))
    spread = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    expected = normal_cdf(ratio * math.sqrt(23) / math.sqrt(spread))
    assert probabilistic_sharpe(returns, 0.0) == pytest.approx(expected, rel=1e-12)


def test_skew_and_fat_tails_lower_the_psr_of_a_profit() -> None:
    calm = np.tile([0.011, -0.009], 130)
    crash = calm.copy()
    crash[-1] -= 0.05
    crash += calm.mean() - crash.mean()
    crash = calm.mean() + (crash - crash.mean()) * calm.std() / crash.std()
    assert 0.5 < probabilistic_sharpe(crash, 0.0) < probabilistic_sharpe(calm, 0.0)


@given(arrays(np.float64, st.integers(0, 60), elements=st.floats(-0.5, 0.5)))
def test_every_number_is_finite(returns: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    equity = np.concatenate(([1e6], 1e6 * np.cumprod(1.0 + returns)))
    numbers = [sharpe(returns, 260), max_drawdown(equity), annual_return(equity, 1.0)]
    assert all(math.isfinite(number) for number in numbers)
    assert 0.0 <= max_drawdown(equity) <= 1.0
    assert 0.0 <= probabilistic_sharpe(returns, 0.0) <= 1.0
