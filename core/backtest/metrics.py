"""Numbers a backtest is judged by (FORMULAS "Daily equity"), each with a stated value where nothing can be measured."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from core.market.pairs import Floats


@njit(cache=True, nogil=True, error_model="numpy")
def daily_returns(equity: Floats) -> Floats:
    """Change from each equity to the next, shape (d + 1,) → (d,); 0 once the capital is gone."""
    returns = np.zeros(equity.shape[0] - 1)
    for day in range(returns.shape[0]):
        if equity[day] > 0.0:
            returns[day] = (equity[day + 1] - equity[day]) / equity[day]
    return returns


@njit(cache=True, nogil=True, error_model="numpy")
def sharpe(returns: Floats, days_per_year: int) -> float:
    """Mean over standard deviation (ddof 1) of daily returns, times √days_per_year.

    Fewer than two returns, or returns that do not vary, hold no evidence of skill: 0.0.
    """
    return float(_daily_sharpe(returns) * math.sqrt(days_per_year))


@njit(cache=True, nogil=True, error_model="numpy")
def max_drawdown(equity: Floats) -> float:
    """Largest fall from a previous peak, as a share of that peak, at most 1.0 (capital gone)."""
    if equity.shape[0] == 0:
        return 0.0
    peak, largest = equity[0], 0.0
    for value in equity:
        peak = max(peak, value)
        largest = max(largest, 1.0 - value / peak)
    return float(min(1.0, largest))


@njit(cache=True, nogil=True, error_model="numpy")
def annual_return(equity: Floats, years: float) -> float:
    """Geometric return a year from the first equity to the last; −1.0 when nothing is left, 0.0 over no time."""
    if equity.shape[0] == 0 or years <= 0.0:
        return 0.0
    if equity[-1] <= 0.0:
        return -1.0
    return float((equity[-1] / equity[0]) ** (1.0 / years) - 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def trades_per_year(trades: int, years: float) -> float:
    """Closed trades over years; 0.0 over no time."""
    return trades / years if years > 0.0 else 0.0


def probabilistic_sharpe(returns: Floats, benchmark: float) -> float:
    """Probability that the true Sharpe ratio exceeds a benchmark (Bailey & López de Prado 2012, equation 11).

    Φ((SR − SR*)·√(n−1) / √(1 − γ₃·SR + (γ₄−1)/4·SR²)) with SR per day (ddof 1), γ₃ and γ₄ the skewness and kurtosis of
    the daily returns (population moments, normal γ₄ = 3).

    Args:
        returns: daily returns (n,).
        benchmark: SR*, per day.

    Returns:
        In [0, 1]; 0.0 for fewer than three returns or returns that do not vary (no evidence).
    """
    n = returns.shape[0]
    if n < 3 or not _varies(returns):
        return 0.0
    ratio = _daily_sharpe(returns)
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    skewness = float(np.mean(centred**3)) / variance**1.5
    kurtosis = float(np.mean(centred**4)) / variance**2
    return probabilistic_sharpe_of(ratio, benchmark, skewness, kurtosis, n)


def probabilistic_sharpe_of(ratio: float, benchmark: float, skewness: float, kurtosis: float, n: int) -> float:
    """The same from the moments of n returns; `ratio` and `benchmark` are per return."""
    spread = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    return normal_cdf((ratio - benchmark) * math.sqrt(n - 1.0) / math.sqrt(max(spread, np.finfo(np.float64).tiny)))


def normal_cdf(x: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _daily_sharpe(returns: Floats) -> float:
    if returns.shape[0] < 2 or not _varies(returns):
        return 0.0
    return float(returns.mean() / (returns.std() * math.sqrt(returns.shape[0] / (returns.shape[0] - 1.0))))


@njit(cache=True, nogil=True, error_model="numpy")
def _varies(returns: Floats) -> bool:
    """Whether the spread of the returns is more than the float dust of equal ones."""
    return bool(returns.std() > 1e-12 * max(1e-3, np.abs(returns).max()))
