from __future__ import annotations

import numpy as np
import pytest

from core.thresholds.gain import gain_interval
from core.thresholds.search import SearchOutcome
from tests.unit.thresholds.surfaces import OBJECTIVE, SEARCH, evaluation_of, outcome_of

DAYS = 240
YEARS = DAYS / 260


def surface(seed: int, *, n: int = 30, edge: float = 0.0) -> SearchOutcome:
    """n θ that share half their daily variance with the previous one; the last has `edge` a day on top."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0005, 0.001, DAYS)
    rows = [common + rng.normal(0.0, 0.001, DAYS) for _ in range(n + 1)]
    rows[-1] = rows[-1] + edge
    return outcome_of([evaluation_of(returns, YEARS) for returns in rows])


def test_among_equals_luck_is_not_taken_for_gain() -> None:
    # nominal error 2.5 %; the percentile interval at the chosen θ alone would err several times as often
    taken = sum(gain_interval(surface(s), OBJECTIVE, SEARCH, YEARS, s).excludes_zero for s in range(200))
    assert taken <= 12


def test_a_real_gain_is_found() -> None:
    taken = sum(gain_interval(surface(s, edge=0.0006), OBJECTIVE, SEARCH, YEARS, s).excludes_zero for s in range(20))
    assert taken >= 19


def test_the_interval_surrounds_the_gain_from_the_cautious_side_and_repeats() -> None:
    outcome = surface(3)
    first, again = (gain_interval(outcome, OBJECTIVE, SEARCH, YEARS, 11) for _ in range(2))
    assert first == again
    assert outcome.best is not None
    assert first.gain == pytest.approx(outcome.best.value - outcome.previous.value)
    assert first.low < first.high
    assert first.low < first.gain


def test_no_gain_over_itself() -> None:
    evaluation = evaluation_of(np.full(DAYS, 0.001), YEARS)
    interval = gain_interval(outcome_of([evaluation]), OBJECTIVE, SEARCH, YEARS, 1)
    assert (interval.gain, interval.low, interval.high) == (0.0, 0.0, 0.0)
    assert not interval.excludes_zero


def test_a_certain_gain_has_a_certain_interval() -> None:
    # constant returns: every resample repeats the observed numbers, so nothing is uncertain
    slow, fast = (evaluation_of(np.full(DAYS, daily), YEARS) for daily in (0.0001, 0.0003))
    interval = gain_interval(outcome_of([slow, fast]), OBJECTIVE, SEARCH, YEARS, 1)
    assert interval.low == pytest.approx(interval.gain)
    assert interval.high == pytest.approx(interval.gain)
    assert interval.excludes_zero


def test_without_a_theta_within_limits_there_is_no_gain() -> None:
    rare = evaluation_of(np.full(DAYS, 0.001), YEARS, closed_a_day=0)
    with pytest.raises(ValueError, match="within limits"):
        gain_interval(outcome_of([rare]), OBJECTIVE, SEARCH, YEARS, 1)
