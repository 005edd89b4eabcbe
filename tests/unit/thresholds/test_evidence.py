"""What the verdict is told about the tries behind a result."""

from __future__ import annotations

import numpy as np
import pytest

from core.backtest.engine import BacktestResult, Window
from core.backtest.frames import Run
from core.backtest.metrics import probabilistic_sharpe, sharpe
from core.backtest.significance.deflated_sharpe import expected_maximum
from core.backtest.significance.earlier_verdicts import EarlierVerdict
from core.backtest.summary import summarise
from core.config.loader import load_settings
from core.config.settings import Settings
from core.errors import BlockedError
from core.market.pairs import Floats
from core.thresholds.stabiliser import ChosenTheta
from tasks.evidence import gather_evidence
from tasks.theta_search import FoundTheta
from tests.fixtures.config_tree import CONFIGS
from tests.unit.thresholds.surfaces import evaluation_of, outcome_of

DAY = 86_400


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(CONFIGS, "dev")


def run_of(returns: Floats) -> Run:
    """A backtest with these daily returns and no trade."""
    none, empty = np.zeros(0, dtype=np.int64), np.zeros(0)
    marks = np.arange(1, returns.size + 1, dtype=np.int64) * DAY
    equity = 1e6 * np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    window = Window(0, int(marks[-1]))
    result = BacktestResult(window, none, empty, empty, empty, marks, equity, np.zeros(returns.size, dtype=np.int64))
    return Run("test", 0.7, 0.3, result, summarise(result, 260))


def found_of(columns: list[Floats], status: str) -> FoundTheta:
    outcome = outcome_of([evaluation_of(column, 1.0) for column in columns])
    return FoundTheta(outcome, None, ChosenTheta(0.7, 0.3, status, "a test"))  # type: ignore[arg-type]


def drawn(n: int, days: int = 260) -> list[Floats]:
    return list(np.random.default_rng(1).normal(0.0003, 0.003, (n, days)))


def test_the_same_trades_are_one_try(settings: Settings) -> None:
    columns = drawn(5)
    searched, adoption = run_of(columns[2]), run_of(drawn(1)[0])
    once = gather_evidence(found_of(columns, "found"), searched, adoption, (), settings)
    again = gather_evidence(found_of([*columns, columns[1], columns[4]], "found"), searched, adoption, (), settings)
    assert again.overfitting == once.overfitting
    assert once.overfitting.n_trials == 5
    assert once.search.benchmark > 0.0


@pytest.mark.parametrize("status", ["found", "moved"])
def test_a_chosen_theta_is_the_best_of_all_and_a_held_one_of_none(settings: Settings, status: str) -> None:
    columns = drawn(6)
    own = run_of(columns[0] + 0.0001)
    chosen = gather_evidence(found_of(columns, status), own, own, (), settings)
    # the θ in force is a try of its own when none of those tried has its trades
    assert chosen.search.n_trials == 7
    assert chosen.search.benchmark > 0.0
    held = gather_evidence(found_of(columns, "held"), own, own, (), settings)
    assert held.search.n_trials == 1
    assert held.search.benchmark == 0.0
    assert held.search.probability == probabilistic_sharpe(own.result.daily_returns, 0.0)


def test_earlier_verdicts_are_tries_by_hand(settings: Settings) -> None:
    returns = drawn(1)[0]
    adoption = run_of(returns)
    ratio = adoption.summary.sharpe
    earlier = (EarlierVerdict("A", 0, 1, ratio - 0.4), EarlierVerdict("B", 0, 1, ratio + 0.4))
    found = found_of(drawn(3), "found")
    evidence = gather_evidence(found, run_of(returns), adoption, earlier, settings).adoption
    assert evidence.n_trials == 3
    assert evidence.sharpe == ratio == sharpe(adoption.result.daily_returns, 260)
    assert evidence.benchmark == pytest.approx(0.4 * expected_maximum(3))


def test_a_search_window_of_too_few_days_blocks(settings: Settings) -> None:
    blocks = settings.backtest_policy.adoption.overfitting.blocks
    columns = drawn(3, 2 * blocks - 1)
    run = run_of(columns[0])
    with pytest.raises(BlockedError, match=rf"ADOPTION_SEARCH_SHORT.*{2 * blocks - 1} days"):
        gather_evidence(found_of(columns, "found"), run, run, (), settings)
