from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.backtest.metrics import sharpe
from core.backtest.significance.paired_difference import (
    Answer,
    PairedDifference,
    paired_difference,
    standard_error,
)
from core.config.backtest_policy import PairedComparison
from core.market.pairs import Floats

POLICY = PairedComparison(
    margin_sharpe=0.5, confidence=0.95, block_days=5, resamples=300, moved_days_min=40, unproven_decides="approve"
)
DAILY = arrays(np.float64, st.integers(2, 40), elements=st.floats(-0.05, 0.05))


def compare(challenger: Floats, deployed: Floats, *, seed: int = 1, **policy: float) -> PairedDifference:
    return paired_difference(challenger, deployed, POLICY.model_copy(update=policy), 260, seed)


def noise(seed: int, days: int = 240) -> Floats:
    return np.random.default_rng(seed).normal(0.0, 0.003, days)


def test_the_difference_is_that_of_the_sharpe_ratios_and_repeats() -> None:
    challenger, deployed = noise(1) + 0.0005, noise(2)
    found = compare(challenger, deployed)
    assert found.difference == pytest.approx(sharpe(challenger, 260) - sharpe(deployed, 260))
    assert found.low < found.difference < found.high
    assert found.n_days == 240
    assert found == compare(challenger, deployed)


def test_shared_noise_makes_a_small_gain_certain() -> None:
    common = noise(3)
    challenger, deployed = common + 0.0004 + 0.1 * noise(4), common
    assert compare(challenger, deployed).answer is Answer.BETTER
    # the same gain over days of their own proves nothing
    assert compare(noise(5) + 0.0004, noise(6)).answer is Answer.UNPROVEN


def test_the_same_model_is_not_worse_than_itself() -> None:
    found = compare(noise(1), noise(1))
    assert (found.answer, found.difference, found.low, found.high) == (Answer.NOT_WORSE, 0.0, 0.0, 0.0)


def test_the_margin_decides_between_not_worse_and_unproven() -> None:
    common = noise(3) + 0.0005
    challenger = common - 0.00005 + 0.05 * noise(4)
    found = compare(challenger, common)
    assert found.answer is Answer.NOT_WORSE
    assert -0.5 <= found.low <= 0.0
    assert compare(challenger, common, margin_sharpe=-found.low - 1e-9).answer is Answer.UNPROVEN
    assert compare(challenger, common, margin_sharpe=-found.low).answer is Answer.NOT_WORSE


def test_a_worse_challenger_is_unproven_with_both_bounds_below_zero() -> None:
    common = noise(3)
    found = compare(common - 0.0008, common)
    assert found.answer is Answer.UNPROVEN
    assert found.high < 0.0


@pytest.mark.parametrize("daily", [0.05, 1.5])
def test_the_standard_error_of_one_sharpe_ratio_by_hand(daily: float) -> None:
    # against a flat series and with blocks of one day it is Lo's (2002): sqrt((1 + SR²/2)/n) for normal moments
    returns = noise(8, 20_000)
    returns = 0.003 * ((returns - returns.mean()) / returns.std() + daily)
    found = standard_error(np.stack([returns, np.zeros(returns.size)]), 1)
    assert found == pytest.approx(math.sqrt((1.0 + daily**2 / 2.0) / returns.size), rel=0.03)


def test_days_that_hang_together_make_the_error_larger() -> None:
    pair = np.repeat(np.stack([noise(1, 300), noise(2, 300)]), 5, axis=1)
    assert standard_error(pair, 25) == pytest.approx(math.sqrt(5.0) * standard_error(pair, 1), rel=0.25)


def test_equal_models_are_called_better_about_as_often_as_the_policy_says() -> None:
    better = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        common = rng.standard_t(5, 240)
        pair = 0.002 * (0.9 * common + 0.45 * rng.standard_t(5, (2, 240))) + 0.0003
        better += compare(pair[0], pair[1], seed=seed, resamples=150).answer is Answer.BETTER
    # 5 % is 4 of 80; 12 lies beyond four standard deviations
    assert better <= 12


def test_a_truly_better_model_is_found_on_a_year_of_shared_days() -> None:
    better = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        common = rng.normal(0.0, 0.003, 240)
        better += compare(common + 0.0004 + rng.normal(0.0, 0.0007, 240), common, seed=seed).answer is Answer.BETTER
    assert better >= 16


@pytest.mark.parametrize("days", [0, 1, 2, 39])
def test_too_few_days_prove_nothing(days: int) -> None:
    found = compare(noise(1, days), noise(2, days))
    assert found == PairedDifference(Answer.UNPROVEN, 0.0, 0.0, 0.0, n_days=days, moved_days=days)


def test_days_without_a_position_do_not_count() -> None:
    flat, one, few = np.zeros(200), np.zeros(200), np.zeros(200)
    one[77], few[:38] = 0.004, noise(1, 38) + 0.01
    for pair, moved in (((flat, flat), 0), ((one, flat), 1), ((flat, one), 1), ((one, one[::-1]), 2), ((few, one), 39)):
        assert compare(*pair) == PairedDifference(Answer.UNPROVEN, 0.0, 0.0, 0.0, 200, moved)
    few[38:40] = 0.01
    assert compare(few, flat).difference > 0.0


@given(DAILY, st.integers(0, 3))
def test_every_number_is_finite_and_in_order(returns: Floats, seed: int) -> None:
    found = compare(returns, np.roll(returns, 1) * 0.5, seed=seed, moved_days_min=1, resamples=100)
    assert all(math.isfinite(value) for value in (found.difference, found.low, found.high))
    assert found.low <= found.high + 1e-9
    assert compare(
        3.0 * returns, 3.0 * np.roll(returns, 1) * 0.5, seed=seed, moved_days_min=1, resamples=100
    ).low == pytest.approx(found.low, rel=1e-6, abs=1e-6)


def test_other_days_or_a_missing_return_are_refused() -> None:
    with pytest.raises(ValueError, match="same days"):
        compare(noise(1, 10), noise(1, 11))
    with pytest.raises(ValueError, match="finite"):
        compare(np.array([0.1, np.nan, 0.2]), noise(1, 3))
