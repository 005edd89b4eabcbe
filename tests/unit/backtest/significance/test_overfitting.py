from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from core.backtest.metrics import sharpe
from core.backtest.significance.overfitting import backtest_overfitting
from core.market.pairs import Floats


def blockwise(*means: list[float]) -> Floats:
    """Trials whose daily returns alternate around a mean of each block, two days a block."""
    return np.column_stack([[mean + turn for mean in trial for turn in (0.001, -0.001)] for trial in means])


def test_a_trial_that_is_always_best_is_no_overfit() -> None:
    found = backtest_overfitting(blockwise([0.004] * 4, [0.001] * 4, [-0.002] * 4), 4)
    assert (found.probability, found.loss_probability) == (0.0, 0.0)
    assert (found.n_trials, found.n_splits) == (3, 6)


def test_trials_that_are_good_in_one_half_only_by_hand() -> None:
    # A earns in blocks 1 and 2, B in 3 and 4. Chosen on {1,2}: A, last on {3,4}; on {3,4}: B, last on {1,2}. Every
    # mixed half has one block of each: A and B tie inside and outside, the first is chosen, their ranks are 1.5 of 2:
    # no better than the median. So all six splits count.
    found = backtest_overfitting(blockwise([0.004, 0.004, -0.004, -0.004], [-0.004, -0.004, 0.004, 0.004]), 4)
    assert found.probability == 1.0
    # outside Sharpe: two splits lose, the four mixed ones are 0
    assert found.loss_probability == 1.0


def test_losses_are_counted_apart_from_ranks() -> None:
    # always the best, and always losing
    found = backtest_overfitting(blockwise([-0.001] * 4, [-0.004] * 4), 4)
    assert (found.probability, found.loss_probability) == (0.0, 1.0)


@given(st.integers(0, 50), st.integers(2, 7), st.integers(16, 45))
def test_it_is_the_plain_procedure(seed: int, trials: int, days: int) -> None:
    returns = np.random.default_rng(seed).normal(0.0003, 0.003, (days, trials))
    blocks = np.array_split(np.arange(days), 4)
    overfitted = losses = 0
    for half in combinations(range(4), 2):
        inside = np.concatenate([blocks[i] for i in half])
        outside = np.setdiff1d(np.arange(days), inside)
        best = int(np.argmax([sharpe(returns[inside, i], 260) for i in range(trials)]))
        others = [sharpe(returns[outside, i], 260) for i in range(trials)]
        share = rankdata(others)[best] / (trials + 1)
        overfitted += bool(np.log(share / (1 - share)) <= 1e-12)
        losses += others[best] <= 0.0
    found = backtest_overfitting(returns, 4)
    assert found.probability == pytest.approx(overfitted / 6)
    assert found.loss_probability == pytest.approx(losses / 6)


@given(st.integers(0, 50), st.floats(0.01, 100.0))
def test_neither_order_of_trials_nor_scale_matters(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0, 0.003, (60, 9))
    other = scale * returns[:, rng.permutation(9)]
    first, second = backtest_overfitting(returns, 6), backtest_overfitting(other, 6)
    assert first == second
    assert 0.0 <= first.probability <= 1.0


def test_choosing_among_noise_is_overfitting_half_of_the_time_and_an_edge_is_not() -> None:
    rng = np.random.default_rng(3)
    noise = [backtest_overfitting(rng.normal(0.0, 0.003, (240, 30)), 8).probability for _ in range(40)]
    assert np.mean(noise) == pytest.approx(0.5, abs=0.12)
    edge = rng.normal(0.0, 0.003, (240, 30))
    edge[:, 4] += 0.0015
    assert backtest_overfitting(edge, 8).probability < 0.05


def test_nothing_to_choose_between_cannot_overfit() -> None:
    one = np.random.default_rng(1).normal(0.001, 0.001, (40, 1))
    assert backtest_overfitting(one, 4).probability == 0.0
    assert backtest_overfitting(one, 4).loss_probability == 0.0


def test_trials_without_a_trade_give_numbers() -> None:
    found = backtest_overfitting(np.zeros((40, 5)), 4)
    assert (found.probability, found.loss_probability) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("returns", "blocks", "said"),
    [
        (np.zeros((40, 2)), 5, "halved"),
        (np.zeros((40, 2)), 2, "halved"),
        (np.zeros((7, 2)), 4, "fill"),
        (np.zeros((40, 0)), 4, "every trial"),
        (np.full((40, 2), np.nan), 4, "every trial"),
    ],
)
def test_what_cannot_be_split_is_refused(returns: Floats, blocks: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        backtest_overfitting(returns, blocks)
