"""The Sharpe ratio of the best of many tries, held against the best that luck alone would show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from core.backtest.metrics import probabilistic_sharpe, sharpe
from core.market.pairs import Floats

_NORMAL: Final = NormalDist()
_EULER: Final = float(np.euler_gamma)


@dataclass(frozen=True)
class DeflatedSharpe:
    """`probability` that the true Sharpe ratio exceeds `benchmark`; Sharpe ratios are annual, every float finite."""

    probability: float
    sharpe: float
    benchmark: float
    n_trials: int
    n_days: int


def deflated_sharpe(returns: Floats, trial_sharpes: Floats, days_per_year: int) -> DeflatedSharpe:
    """Deflated Sharpe ratio (Bailey and López de Prado 2014, "The Deflated Sharpe Ratio", equations 1 and 2).

    The probabilistic Sharpe ratio against the expected highest of N Sharpe ratios without skill, √V·E[max of N standard
    normals]. N is the number of trials and V the variance of their Sharpe ratios, but at most the variance chance alone
    gives a Sharpe ratio without skill, 1/(n − 1) a day: trials that differ more differ in their true ratios.

    Args:
        returns: daily returns (n,) of the chosen trial.
        trial_sharpes: annual Sharpe ratios of all trials (N,), the chosen one among them.
        days_per_year: trading days a year.

    Raises:
        ValueError: there is no trial, or a Sharpe ratio is not finite.
    """
    if trial_sharpes.size == 0 or not np.isfinite(trial_sharpes).all():
        raise ValueError("a deflated Sharpe ratio needs the Sharpe ratios of its trials")
    n_days, n_trials = int(returns.size), int(trial_sharpes.size)
    benchmark = 0.0
    if n_trials > 1 and n_days > 1:
        chance = days_per_year / (n_days - 1.0)
        variance = min(float(np.var(trial_sharpes, ddof=1)), chance)
        benchmark = math.sqrt(variance) * expected_maximum(n_trials)
    return DeflatedSharpe(
        probability=probabilistic_sharpe(returns, benchmark / math.sqrt(days_per_year)),
        sharpe=sharpe(returns, days_per_year),
        benchmark=benchmark,
        n_trials=n_trials,
        n_days=n_days,
    )


def expected_maximum(n: int) -> float:
    """Expected highest of n standard normals, (1 − γ)·Φ⁻¹(1 − 1/n) + γ·Φ⁻¹(1 − 1/(n·e)), γ Euler's; 0.0 for n = 1."""
    if n < 1:
        raise ValueError("there is no highest of none")
    if n == 1:
        return 0.0
    return (1.0 - _EULER) * _NORMAL.inv_cdf(1.0 - 1.0 / n) + _EULER * _NORMAL.inv_cdf(1.0 - 1.0 / (n * math.e))
