"""Approval rates, their exact intervals and the targets."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gatecheck.plan import Group, Targets
from gatecheck.rates import closing, mean_sharpe, missed_targets, power_curve, rate_of
from gatecheck.results import Outcome, Result

APPROVED: tuple[Outcome, ...] = ("approved",)
REJECTED: tuple[Outcome, ...] = ("rejected",)
TARGETS = Targets(no_edge_approved_max=0.0, edge_approved_min=0.8, break_even_approved_max=0.05)


def results_of(
    group: Group, outcomes: Sequence[Outcome], half_life: float = 0.0, sharpe: float | None = None
) -> list[Result]:
    return [
        Result(
            key="k",
            name=f"{group}_{half_life}_{number}",
            group=group,
            kind=group,
            half_life_bars=half_life,
            seed=number,
            outcome=outcome,
            reasons=("because",),
            sharpe=sharpe,
            max_drawdown=None,
            trades_per_year=None,
            psr=None,
            theta1=None,
            theta2=None,
            seconds={},
        )
        for number, outcome in enumerate(outcomes)
    ]


def test_the_interval_is_the_one_of_clopper_and_pearson() -> None:
    none = rate_of(results_of("no_edge", REJECTED * 20))
    assert (none.markets, none.approved, none.low) == (20, 0, 0.0)
    assert none.high == pytest.approx(1.0 - 0.025 ** (1 / 20))
    most = rate_of(results_of("edge", APPROVED * 16 + REJECTED * 4))
    assert (most.low, most.high) == pytest.approx((0.5634, 0.9427), abs=1e-4)  # tabulated


def test_a_blocked_chain_is_not_approved_and_a_failed_one_is_not_counted() -> None:
    rate = rate_of(results_of("edge", ["approved", "blocked", "failed", "failed"]))
    assert (rate.markets, rate.approved) == (2, 1)
    nothing = rate_of(results_of("edge", ["failed"]))
    assert (nothing.markets, nothing.share, nothing.low, nothing.high) == (0, 0.0, 0.0, 1.0)


def test_power_is_told_by_half_life() -> None:
    results = results_of("edge", ["approved", "approved"], 30.0) + results_of("edge", ["approved", "rejected"], 72.0)
    assert {half_life: rate.share for half_life, rate in power_curve(results).items()} == {30.0: 1.0, 72.0: 0.5}


def test_the_closing_object() -> None:
    results = (
        results_of("no_edge", ["rejected", "blocked", "failed"])
        + results_of("edge", ["approved"], 30.0)
        + results_of("edge", ["rejected"], 40.0)
    )
    assert closing(results) == {
        "null_markets": 2,
        "null_approved": 0,
        "edge_markets": 2,
        "edge_approved": 1,
        "power": {"30": 1.0, "40": 0.0},
        "failed": 1,
    }
    full = closing(results + results_of("break_even", ["approved", "rejected"]))
    assert (full["break_even_markets"], full["break_even_approved"]) == (2, 1)


def test_targets_are_missed_on_either_side() -> None:
    good = results_of("no_edge", REJECTED * 20) + results_of("edge", APPROVED * 16 + REJECTED * 4, 30.0)
    assert missed_targets(good, TARGETS) == []
    assert missed_targets(good + results_of("break_even", APPROVED * 5 + REJECTED * 95), TARGETS) == []
    bad = (
        results_of("no_edge", REJECTED * 19 + APPROVED)
        + results_of("edge", APPROVED * 15 + REJECTED * 5, 30.0)
        + results_of("break_even", APPROVED * 6 + REJECTED * 94)
    )
    assert [line.split(":")[0] for line in missed_targets(bad, TARGETS)] == ["no_edge", "edge", "break_even"]


def test_the_mean_sharpe_has_a_standard_error() -> None:
    results = results_of("break_even", ["rejected"], sharpe=1.0) + results_of("break_even", ["rejected"], sharpe=-1.0)
    assert mean_sharpe(results) == (0.0, 1.0)
    assert mean_sharpe(results[:1]) is None
