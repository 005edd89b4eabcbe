"""A θ search that saw something of the adoption window is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.backtest.engine import Window
from core.models.leakage.certificate import THETA_CHECKS
from core.thresholds.leakage import check_theta
from core.thresholds.objective import SearchData, evaluate
from core.thresholds.search import SearchOutcome, Trial
from tests.unit.thresholds.surfaces import OBJECTIVE
from tests.unit.thresholds.test_search import search_data

THETAS = ((0.7, 0.3), (0.6, 0.45), (0.62, 0.4), (0.85, 0.2))
DAY = 86_400


@pytest.fixture(scope="module")
def whole() -> SearchData:
    return search_data(days=200)


def _adoption_start(whole: SearchData) -> int:
    return whole.window.start + (whole.window.end - whole.window.start) // 2


def _before_adoption(whole: SearchData) -> SearchData:
    return replace(whole, window=Window(whole.window.start, _adoption_start(whole) - 1))


def _search(data: SearchData) -> SearchOutcome:
    return SearchOutcome(tuple(Trial("grid", evaluate(data, OBJECTIVE, *theta)) for theta in THETAS), ())


def _failed(data: SearchData, outcome: SearchOutcome, adoption_start: int) -> set[str]:
    checks = check_theta(data, outcome, OBJECTIVE, adoption_start, 3)
    assert tuple(check.name for check in checks) == THETA_CHECKS
    assert all(check.count > 0 for check in checks)
    return {check.name for check in checks if not check.passed}


def test_a_search_that_ends_before_adoption_passes(whole: SearchData) -> None:
    data = _before_adoption(whole)
    outcome = _search(data)
    assert outcome.trials[1].evaluation.n_trades > 20
    assert _failed(data, outcome, _adoption_start(whole)) == set()


def test_a_search_on_the_adoption_window(whole: SearchData) -> None:
    assert _failed(whole, _search(whole), _adoption_start(whole)) == set(THETA_CHECKS)


def test_a_window_that_reaches_one_exit_into_adoption(whole: SearchData) -> None:
    exits = whole.candidates.exit_ts
    first = int(exits[exits >= _adoption_start(whole)].min())
    data = replace(whole, window=Window(whole.window.start, first))
    assert "theta_window" in _failed(data, _search(data), _adoption_start(whole))


def test_trials_of_another_window_than_the_one_recorded(whole: SearchData) -> None:
    assert _failed(_before_adoption(whole), _search(whole), _adoption_start(whole)) == {"theta_future_noise"}


def test_risk_events_known_only_in_the_adoption_window(whole: SearchData) -> None:
    data = _before_adoption(whole)
    found = data.candidates
    # every start stays undecided to the adoption window's fifth day, and AI2 blocks none of them at the higher θ2
    late = np.maximum(found.horizon, _adoption_start(whole) + 5 * DAY)
    data = replace(data, candidates=replace(found, horizon=late, risk_score=np.full(late.shape, 0.42)))
    assert _failed(data, _search(data), _adoption_start(whole)) == set()
    early = np.minimum(late, data.window.end)
    peeking = replace(data, candidates=replace(data.candidates, horizon=early))
    assert _failed(data, _search(peeking), _adoption_start(whole)) == {"theta_future_noise"}
