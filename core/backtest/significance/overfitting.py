"""Does the choice of the best trial hold on days it was not chosen on (combinatorially symmetric cross-validation)?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.market.pairs import Floats

_SPLITS_AT_ONCE: Final = 1024
_FLAT: Final = 1e-30
"""A variance of daily returns below this is the float dust of equal ones."""


@dataclass(frozen=True)
class Overfitting:
    """`probability` of backtest overfitting; `loss_probability`, how often the chosen trial's other half has a Sharpe
    ratio of 0 or less. Both are shares of `n_splits`."""

    probability: float
    loss_probability: float
    n_trials: int
    n_splits: int


def backtest_overfitting(returns: NDArray[np.float64], blocks: int) -> Overfitting:
    """Probability of backtest overfitting (Bailey, Borwein, López de Prado and Zhu 2017).

    The days are cut into `blocks` runs of consecutive days. Every half of the blocks once picks the trial with the
    highest Sharpe ratio; the split counts when that trial is no better than the median of all on the other half
    (logit λ = ln(ω/(1 − ω)) ≤ 0, ω its relative rank, equals sharing theirs).

    One trial leaves nothing to choose: the probability is 0.0, the loss as measured.

    Args:
        returns: daily returns (n, N) of N trials on the same days.
        blocks: an even number, at least 4.

    Raises:
        ValueError: a return is not finite, `blocks` is odd or below 4, or a block would hold fewer than two days.
    """
    n_days, n_trials = returns.shape
    if blocks < 4 or blocks % 2:
        raise ValueError(f"{blocks} blocks cannot be halved")
    if n_days < 2 * blocks:
        raise ValueError(f"{n_days} days do not fill {blocks} blocks")
    if n_trials == 0 or not np.isfinite(returns).all():
        raise ValueError("the returns of every trial must be there")
    mean = returns.mean(axis=0)
    centred = returns - mean
    parts = np.array_split(np.arange(n_days), blocks)
    days = np.array([part.size for part in parts], dtype=np.float64)
    sums = np.array([centred[part].sum(axis=0) for part in parts])
    squares = np.array([(centred[part] ** 2).sum(axis=0) for part in parts])
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    halves = np.zeros((chosen.shape[0], blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    overfitted = losses = 0
    for start in range(0, halves.shape[0], _SPLITS_AT_ONCE):
        half = halves[start : start + _SPLITS_AT_ONCE]
        inside = _sharpe(half, days, sums, squares, mean)
        outside = _sharpe(1.0 - half, days, sums, squares, mean)
        best = np.argmax(inside, axis=1)[:, np.newaxis]
        kept = np.take_along_axis(outside, best, axis=1)
        rank = (outside < kept).sum(axis=1) + ((outside == kept).sum(axis=1) + 1.0) / 2.0
        overfitted += int((rank <= (n_trials + 1.0) / 2.0).sum())
        losses += int((kept <= 0.0).sum())
    n_splits = halves.shape[0]
    return Overfitting(
        probability=overfitted / n_splits if n_trials > 1 else 0.0,
        loss_probability=losses / n_splits,
        n_trials=n_trials,
        n_splits=n_splits,
    )


def _sharpe(
    half: NDArray[np.float64], days: Floats, sums: NDArray[np.float64], squares: NDArray[np.float64], mean: Floats
) -> NDArray[np.float64]:
    """Daily Sharpe ratios (splits, N) of the days in `half`, from block sums; 0 where returns do not vary."""
    n = (half @ days)[:, np.newaxis]
    shift = (half @ sums) / n
    variance = (half @ squares - n * shift**2) / (n - 1.0)
    ratio = np.zeros(variance.shape)
    np.divide(shift + mean, np.sqrt(np.maximum(variance, _FLAT)), out=ratio, where=variance > _FLAT)
    return ratio
