"""Bad ticks against jumps, compared with a slow pandas version written from the rule."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.quality.changes import ACCEPTED, HELD, JUMP, OUTLIER, classify_changes
from tests.unit.quality.examples import walk

N = 300
AT = 250


def _verdict(close: NDArray[np.float64]) -> NDArray[np.int8]:
    return np.asarray(classify_changes(close, 8.0, 480, 120))


def _slow(close: NDArray[np.float64], sigmas: float, window: int, minimum: int) -> list[int]:
    verdict = [ACCEPTED] * len(close)
    changes: list[float] = []
    good = close[0]
    for i in range(1, len(close)):
        change = math.log(close[i] / good)
        past = changes[-window:]
        limit = sigmas * float(pd.Series(past).std(ddof=1)) if len(past) >= minimum else math.inf
        if abs(change) > limit:
            if i == len(close) - 1:
                verdict[i] = HELD
                break
            if abs(math.log(close[i + 1] / good)) <= limit:
                verdict[i] = OUTLIER
                continue
            verdict[i] = JUMP
        changes.append(change)
        good = close[i]
    return verdict


def test_a_quiet_walk_is_accepted() -> None:
    assert not _verdict(walk(2000)).any()


def test_a_bar_that_leaves_and_comes_back_is_an_outlier() -> None:
    close = walk(N)
    close[AT] *= 1.05
    verdict = _verdict(close)
    assert np.flatnonzero(verdict).tolist() == [AT]
    assert verdict[AT] == OUTLIER


def test_a_bar_that_leaves_and_stays_is_a_jump() -> None:
    close = walk(N)
    close[AT:] *= 1.05
    verdict = _verdict(close)
    assert np.flatnonzero(verdict).tolist() == [AT]
    assert verdict[AT] == JUMP


def test_the_newest_bar_is_held_until_the_next_one_decides() -> None:
    close = walk(N)
    close[AT:] *= 1.05
    assert _verdict(close[: AT + 1])[AT] == HELD
    assert _verdict(close[: AT + 2])[AT] == JUMP
    close[AT + 1 :] /= 1.05
    assert _verdict(close[: AT + 2])[AT] == OUTLIER


def test_an_outlier_does_not_enter_sigma_and_a_jump_does() -> None:
    tick, jump = walk(N), walk(N)
    tick[AT] *= 1.03
    tick[AT + 20] *= 1.03
    assert _verdict(tick)[AT + 20] == OUTLIER
    jump[AT:] *= 1.03
    jump[AT + 20] *= 1.012  # beyond 8σ of the quiet walk, within 8σ once the jump is part of it
    assert _verdict(jump)[AT + 20] == ACCEPTED


def test_too_few_bars_say_nothing() -> None:
    close = walk(N)
    close[119] *= 2
    close[121] *= 2
    verdict = _verdict(close)
    assert verdict[119] == ACCEPTED


@pytest.mark.parametrize("size", [7.9, 8.1])
def test_the_limit_is_eight_sigma_of_the_bars_before(size: float) -> None:
    close = walk(N)
    sigma = np.diff(np.log(close[:AT])).std(ddof=1)
    close[AT:] = close[AT - 1] * math.exp(size * sigma) * (close[AT:] / close[AT])
    assert _verdict(close)[AT] == (JUMP if size > 8.0 else ACCEPTED)


shocks = st.lists(st.tuples(st.integers(1, 399), st.floats(-0.2, 0.2), st.booleans()), min_size=0, max_size=8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), events=shocks, minimum=st.integers(20, 60))
def test_it_does_what_the_rule_says(seed: int, events: list[tuple[int, float, bool]], minimum: int) -> None:
    close = _shocked(seed, events)
    assert classify_changes(close, 8.0, 100, minimum).tolist() == _slow(close, 8.0, 100, minimum)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), events=shocks, cut=st.integers(2, 399))
def test_a_verdict_never_changes_when_later_bars_arrive(
    seed: int, events: list[tuple[int, float, bool]], cut: int
) -> None:
    close = _shocked(seed, events)
    early, whole = classify_changes(close[:cut], 8.0, 100, 30), classify_changes(close, 8.0, 100, 30)
    decided = early != HELD
    assert np.array_equal(early[decided], whole[:cut][decided])


def _shocked(seed: int, events: list[tuple[int, float, bool]]) -> NDArray[np.float64]:
    close = walk(400, seed)
    for position, size, stays in events:
        close[position : None if stays else position + 1] *= math.exp(size)
    return close
