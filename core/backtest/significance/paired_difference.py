"""Is a challenger's Sharpe ratio better than the deployed model's on the same days, or at least not worse?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.backtest.metrics import sharpe
from core.backtest.significance.day_blocks import resample_days
from core.config.backtest_policy import PairedComparison
from core.market.pairs import Floats


class Answer(StrEnum):
    """`unproven` says that the days are too few or too noisy for either of the others; a worse challenger is too."""

    BETTER = "better"
    NOT_WORSE = "not_worse"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class PairedDifference:
    """Annual Sharpe ratio of the challenger less the deployed model's, with one-sided bounds; every float is finite.

    `moved_days` of `n_days` are those on which a series moved.
    """

    answer: Answer
    difference: float
    low: float
    high: float
    n_days: int
    moved_days: int


def paired_difference(
    challenger: Floats, deployed: Floats, policy: PairedComparison, days_per_year: int, seed: int
) -> PairedDifference:
    """Compare two series of daily returns day by day.

    The studentised circular block bootstrap of Ledoit and Wolf (2008, "Robust performance hypothesis testing with the
    Sharpe ratio"): blocks of days are drawn with replacement, the same for both; each resample's difference is taken
    off the observed one and divided by its own standard error; quantiles of that bound the true difference.

    The answer is `better` when the lower bound is above 0, `not_worse` when it is at least −margin, else `unproven`.
    Equal series differ by 0 for certain and are `not_worse`. With fewer days than `moved_days_min` on which a series
    moved nothing is measured: `unproven`, all numbers 0.

    Args:
        challenger, deployed: daily returns (n,) of the same days.
        policy: margin (annual Sharpe), one-sided confidence, block length in days, resamples, least days.
        days_per_year: trading days a year.
        seed: of the resampling.

    Raises:
        ValueError: the series are not of the same days, or a return is not finite.
    """
    if challenger.shape != deployed.shape or challenger.ndim != 1:
        raise ValueError(f"{challenger.shape} and {deployed.shape} are not the same days")
    if not (np.isfinite(challenger).all() and np.isfinite(deployed).all()):
        raise ValueError("a daily return is not finite")
    n_days = challenger.size
    moved = int(np.count_nonzero((challenger != 0.0) | (deployed != 0.0)))
    if n_days < 2 or moved < policy.moved_days_min:
        return PairedDifference(Answer.UNPROVEN, 0.0, 0.0, 0.0, n_days, moved)
    difference = sharpe(challenger, days_per_year) - sharpe(deployed, days_per_year)
    pair = np.stack([challenger, deployed])
    spread = standard_error(pair, policy.block_days)
    errors = _standardised_errors(pair, policy, spread, seed)
    to_year = math.sqrt(days_per_year)
    below, above = np.quantile(errors, [policy.confidence, 1.0 - policy.confidence])
    low = difference - float(below) * spread * to_year
    high = difference - float(above) * spread * to_year
    return PairedDifference(_answer(low, policy.margin_sharpe), difference, low, high, n_days, moved)


def _answer(low: float, margin: float) -> Answer:
    if low > 0.0:
        return Answer.BETTER
    return Answer.NOT_WORSE if low >= -margin else Answer.UNPROVEN


def _standardised_errors(
    pair: NDArray[np.float64], policy: PairedComparison, observed_error: float, seed: int
) -> Floats:
    """(resampled − observed difference) over its own standard error (resamples,), which counts as at least a tenth of
    the observed one: a resample of days without trades has hardly any."""
    n_days = pair.shape[1]
    block = min(policy.block_days, n_days)
    days = resample_days(n_days, block, policy.resamples, seed)
    drawn = pair[:, days]
    observed = _sharpe(pair)
    shift = _sharpe(drawn) - observed[:, np.newaxis]
    influence = _influence(drawn)
    sums = (influence[0] - influence[1]).reshape(policy.resamples, -1, block).sum(axis=2)
    spread = np.sqrt(np.mean(sums**2, axis=1) / block / days.shape[1])
    spread = np.maximum(spread, observed_error / 10.0)
    errors = np.zeros(policy.resamples)
    np.divide(shift[0] - shift[1], spread, out=errors, where=spread > 0.0)
    return errors


def standard_error(pair: NDArray[np.float64], block_days: int) -> float:
    """Of the difference of daily Sharpe ratios of two series (2, n), from its influence over all circular blocks."""
    influence = _influence(pair)
    n_days = pair.shape[1]
    block = min(block_days, n_days)
    each = influence[0] - influence[1]
    total = np.concatenate(([0.0], np.cumsum(np.concatenate((each, each[: block - 1])))))
    sums = total[block:] - total[:-block]
    return float(np.sqrt(np.mean(sums**2) / block / n_days))


def _sharpe(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Daily Sharpe ratios over the last axis, 0 where the returns do not vary."""
    spread = returns.std(axis=-1, ddof=1)
    ratio = np.zeros(spread.shape)
    np.divide(returns.mean(axis=-1), spread, out=ratio, where=_moves(returns, spread))
    return ratio


def _influence(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each day moves the daily Sharpe ratio: x − SR/2·(x² − 1), x the standardised return (delta method)."""
    mean, spread = returns.mean(axis=-1, keepdims=True), returns.std(axis=-1, keepdims=True)
    moves = _moves(returns, spread[..., 0])[..., np.newaxis]
    standardised = np.zeros(returns.shape)
    np.divide(returns - mean, spread, out=standardised, where=moves)
    ratio = np.zeros(spread.shape)
    np.divide(mean, spread, out=ratio, where=moves)
    return np.where(moves, standardised - ratio / 2.0 * (standardised**2 - 1.0), 0.0)


def _moves(returns: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(spread > 1e-12 * np.maximum(1e-3, np.abs(returns).max(axis=-1)))
