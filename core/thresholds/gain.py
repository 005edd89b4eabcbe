"""Is the found θ better than the one in force, or only the luckiest of many tried (SPEC TH-3)?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.config.core_policy import ThetaObjective, ThetaSearch
from core.market.pairs import Floats, Ints
from core.thresholds.objective import Evaluation, Weights, objective_value, penalties
from core.thresholds.search import SearchOutcome


@dataclass(frozen=True)
class GainInterval:
    """Gain of the best θ over the previous one in units of the objective, with its confidence interval."""

    gain: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the gain is more than the luck of choosing."""
        return self.low > 0.0


def gain_interval(
    outcome: SearchOutcome, objective: ThetaObjective, policy: ThetaSearch, years: float, seed: int
) -> GainInterval:
    """Confidence interval of the best θ's gain, the choice of the best repeated inside each resample.

    Days are resampled in blocks, the same days for every θ. Each resample yields max over the θ within limits of
    (resampled gain − observed gain): the error a chosen maximum makes. Its quantiles, taken off the observed gain,
    bound the gain (the basic bootstrap of a maximum; White 2000, "A Reality Check for Data Snooping").

    Args:
        outcome: the trials; at least one must be within limits.
        objective, policy: weights, resamples, block length in days, confidence.
        years: length of the search window.
        seed: of the resampling.

    Raises:
        ValueError: no trial is within limits.
    """
    if outcome.best is None:
        raise ValueError("no θ within limits has a gain")
    compared = [outcome.previous, *(t.evaluation for t in outcome.trials if t.evaluation.within_limits)]
    gain = outcome.best.value - outcome.previous.value
    gains = np.array([evaluation.value - outcome.previous.value for evaluation in compared])
    days = _resampled_days(compared[0].returns.size, policy, seed)
    errors = _largest_errors(
        _stack(compared, "returns"),
        _stack(compared, "closed"),
        _stack(compared, "passed"),
        _stack(compared, "blocked_wrongly"),
        gains,
        days,
        years,
        penalties(objective),
    )
    tail = (1.0 - policy.confidence) / 2.0
    low, high = np.quantile(errors, [1.0 - tail, tail])
    return GainInterval(gain=gain, low=float(gain - low), high=float(gain - high))


def _stack(evaluations: list[Evaluation], name: str) -> NDArray[np.float64]:
    """A daily series of every evaluation, shape (days, evaluations): the kernel takes all of a day at once."""
    series = np.array([getattr(evaluation, name) for evaluation in evaluations], dtype=np.float64)
    return np.ascontiguousarray(series.T)


def _resampled_days(n_days: int, policy: ThetaSearch, seed: int) -> Ints:
    """Day numbers (resamples, n_days): circular blocks of consecutive days, first days drawn evenly."""
    block = min(policy.bootstrap_block_days, n_days)
    blocks = -(-n_days // block)
    first = np.random.default_rng(seed).integers(0, n_days, (policy.bootstrap_resamples, blocks, 1))
    days = (first + np.arange(block)).reshape(policy.bootstrap_resamples, blocks * block)[:, :n_days]
    return np.ascontiguousarray(days % n_days)


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_errors(
    returns: NDArray[np.float64],
    closed: NDArray[np.float64],
    passed: NDArray[np.float64],
    blocked: NDArray[np.float64],
    gains: Floats,
    days: Ints,
    years: float,
    weights: Weights,
) -> Floats:
    """Per resample the largest of (resampled − observed gain) over the evaluations 1 …; 0 is the previous θ.

    Series are (days, evaluations).
    """
    errors = np.empty(days.shape[0])
    rows = returns.shape[1]
    equity, peak, drawdown = np.empty(rows), np.empty(rows), np.empty(rows)
    n_closed, n_passed, n_blocked = np.empty(rows), np.empty(rows), np.empty(rows)
    for resample in range(days.shape[0]):
        equity[:], peak[:], drawdown[:] = 1.0, 1.0, 0.0
        n_closed[:], n_passed[:], n_blocked[:] = 0.0, 0.0, 0.0
        for day in days[resample]:
            for row in range(rows):
                grown = equity[row] * max(0.0, 1.0 + returns[day, row])
                highest = max(peak[row], grown)
                equity[row], peak[row] = grown, highest
                drawdown[row] = max(drawdown[row], 1.0 - grown / highest)
                n_closed[row] += closed[day, row]
                n_passed[row] += passed[day, row]
                n_blocked[row] += blocked[day, row]
        base, largest = 0.0, -np.inf
        for row in range(rows):
            share = n_blocked[row] / n_passed[row] if n_passed[row] > 0.0 else 0.0
            annual = equity[row] ** (1.0 / years) - 1.0
            trades = n_closed[row] / years
            value = objective_value(
                annual, drawdown[row], trades, share, weights[0], weights[1], weights[2], weights[3], weights[4]
            )
            if row == 0:
                base = value
            else:
                largest = max(largest, value - base - gains[row])
        errors[resample] = largest
    return errors
