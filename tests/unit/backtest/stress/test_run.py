"""The whole stress on a small market."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.backtest.engine import run_backtest
from core.backtest.frames import Provenance
from core.backtest.stress.edge import EdgeLimit, edge_limit
from core.backtest.stress.frame import in_words, stress_content, stress_frame
from core.backtest.stress.run import StressedBook, StressResult, StressTest, run_stress
from core.backtest.summary import summarise
from core.config.settings import Settings
from tests.unit.backtest.market import costs
from tests.unit.backtest.stress.market import book_and_candidates, stressed_book


def stress(book: StressedBook, settings: Settings, seed: int = 7) -> StressResult:
    return run_stress(drawn(book, settings, seed), lambda done, most: None)


def drawn(book: StressedBook, settings: Settings, seed: int = 7) -> StressTest:
    return StressTest.drawn(book, settings.core_policy, settings.backtest_policy, seed)


PROVENANCE = Provenance("V", "f" * 64, "c" * 40, "d" * 64, 7)
SCENARIOS = ("atr_noise", "correlation_collapse", "cost_increase", "latency", "gap_events")


@pytest.fixture(scope="module")
def result(settings: Settings) -> StressResult:
    return stress(stressed_book(), settings)


def test_every_scenario_is_told_at_the_policys_multiples(settings: Settings, result: StressResult) -> None:
    wanted = [
        (name, multiple) for name in SCENARIOS for multiple in getattr(settings.backtest_policy.stress, name).multiples
    ]
    assert [(point.scenario, point.multiple) for point in result.points] == wanted
    assert tuple(result.limits) == SCENARIOS
    assert result.baseline.sharpe > 0.0


def test_without_stress_the_numbers_are_the_backtests_own(result: StressResult) -> None:
    book, candidates = book_and_candidates()
    done = run_backtest(candidates, book.marks, book.portfolio, book.window, theta1=book.theta1, theta2=book.theta2)
    assert done.taken.size > 10
    assert result.baseline == summarise(done, 260)


@pytest.mark.parametrize("name", SCENARIOS)
def test_at_its_neutral_multiple_a_scenario_changes_nothing(
    settings: Settings, result: StressResult, name: str
) -> None:
    test = drawn(stressed_book(), settings)
    assert test.summary_at(name, test.scenarios[name].neutral) == result.baseline


@pytest.mark.parametrize("name", SCENARIOS)
def test_where_the_edge_dies_the_sharpe_is_not_above_zero(settings: Settings, result: StressResult, name: str) -> None:
    limit, policy = result.limits[name], settings.backtest_policy.stress
    test = drawn(stressed_book(), settings)
    found = test.summary_at(name, limit.multiple)
    if limit.outcome == "survives":
        assert limit.multiple == policy.multiple_max
        assert found.sharpe > 0.0
    else:
        assert limit.outcome == "dies"
        assert found.sharpe <= 0.0
        before = limit.multiple - policy.multiple_precision * max(1.0, limit.multiple)
        assert test.summary_at(name, before).sharpe > 0.0


def test_the_cost_multiple_is_the_ratio_of_profit_to_cost(settings: Settings) -> None:
    # Commission alone is proportional to the factor but for the equity it compounds on: with profits that pay for 5 %
    # more, the Sharpe ratio reaches 0 at about gross profit / commission.
    book = stressed_book(terms=costs(commission_bp=1.0))
    free = drawn(stressed_book(terms=costs()), settings).summary_at("cost_increase", 1.0)
    paid = drawn(book, settings).summary_at("cost_increase", 1.0)
    profit = math.log(free.final_equity / 1e6)
    limit = stress(book, settings).limits["cost_increase"]
    assert limit.outcome == "dies"
    assert limit.multiple == pytest.approx(profit / (profit - math.log(paid.final_equity / 1e6)), rel=0.05)


def test_the_same_seed_gives_the_same_numbers_and_another_others(settings: Settings, result: StressResult) -> None:
    assert stress(stressed_book(), settings) == result
    other = stress(stressed_book(), settings, 8)
    for mine, theirs in zip(result.points, other.points, strict=True):
        assert (mine == theirs) == (mine.scenario == "cost_increase")


def test_without_a_trade_every_number_is_stated(settings: Settings) -> None:
    refused = replace(stressed_book(), theta1=0.95)
    result = stress(refused, settings)
    assert {limit.outcome for limit in result.limits.values()} == {"no_edge"}
    frame = stress_frame(result, 0.95, 0.3, PROVENANCE)
    assert frame["n_trades"].tolist() == [0] * len(frame)
    assert not frame.isna().any().any()


def test_a_pair_without_a_start_is_stressed_with_the_others(settings: Settings) -> None:
    book = stressed_book()
    empty = type(book.pairs[1].starts)(*(values[:0] for values in vars(book.pairs[1].starts).values()))
    book = replace(book, pairs=[book.pairs[0], replace(book.pairs[1], starts=empty)])
    result = stress(book, settings)
    assert result.baseline.n_trades > 0


def test_the_table_and_the_verdict_tell_the_same(result: StressResult) -> None:
    frame = stress_frame(result, 0.7, 0.3, PROVENANCE)
    assert frame["scenario"].tolist()[0] == "none"
    assert (frame["scenario"] != "none").sum() == len(result.points)
    assert not frame.isna().any().any()
    assert np.isfinite(frame.select_dtypes("number")).all().all()
    content = stress_content(result)["scenarios"]
    for row in frame[frame["scenario"] != "none"].itertuples():
        told = content[row.scenario]
        assert (told["edge"], told["edge_multiple"]) == (row.edge, row.edge_multiple)
        assert row.sharpe in [point["sharpe"] for point in told["points"]]
        assert (row.model_version, row.seed, row.theta1) == ("V", 7, 0.7)


@pytest.mark.parametrize("death", [0.004, 0.4, 1.0, 1.7, 3.0, 31.9])
def test_the_limit_is_found_to_its_precision(death: float) -> None:
    asked: list[float] = []

    def sharpe_at(multiple: float) -> float:
        asked.append(multiple)
        return death - multiple

    limit = edge_limit(sharpe_at, 0.0, largest=32.0, precision=0.02)
    assert limit.outcome == "dies"
    assert death <= limit.multiple <= death + 0.02 * max(1.0, limit.multiple)
    assert len(asked) <= 14


def test_a_limit_beyond_the_largest_multiple_is_said_and_no_edge_too() -> None:
    assert edge_limit(lambda m: 40.0 - m, 0.0, largest=32.0, precision=0.02) == EdgeLimit("survives", 32.0)
    assert edge_limit(lambda m: -m, 1.0, largest=32.0, precision=0.02) == EdgeLimit("no_edge", 1.0)
    assert edge_limit(lambda m: 20.0 - m, 1.0, largest=24.0, precision=0.02).outcome == "dies"


def test_a_limit_is_said_in_words() -> None:
    assert in_words("cost_increase", EdgeLimit("dies", 1.712)) == "Sharpe reaches 0 at 1.71× cost increase"
    assert in_words("latency", EdgeLimit("survives", 32.0)) == "Sharpe stays above 0 up to 32× latency"
    assert "no edge" in in_words("latency", EdgeLimit("no_edge", 0.0))
