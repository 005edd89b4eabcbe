from __future__ import annotations

from dataclasses import replace

import pytest

from core.backtest.adoption import Comparison, NotCompared, judge
from core.backtest.summary import Summary
from core.config.backtest_policy import AdoptionLimits
from core.errors import BlockedError

LIMITS = AdoptionLimits(
    sharpe_min=1.2,
    max_drawdown=0.12,
    trades_per_year_min=150.0,
    psr_min=0.95,
    sharpe_ratio_to_deployed_min=0.95,
    max_drawdown_above_deployed=0.03,
    comparison_days_min=120,
)
GOOD = Summary(
    n_trades=300,
    n_days=260,
    years=1.0,
    sharpe=2.0,
    max_drawdown=0.05,
    annual_return=0.2,
    trades_per_year=300.0,
    psr=0.99,
    final_equity=1.2e6,
)
FIRST = NotCompared("no model is deployed")


def test_a_model_within_all_limits_is_approved_with_its_numbers() -> None:
    verdict = judge(GOOD, 0.99, FIRST, LIMITS, 500)
    assert verdict.status == "approved"
    assert len(verdict.reasons) == 5
    assert "Sharpe 2.00" in verdict.reasons[0]
    assert verdict.reasons[-1] == "no model is deployed"


@pytest.mark.parametrize(
    ("changes", "psr", "said"),
    [
        ({"sharpe": 1.2}, 0.99, "Sharpe 1.20 on the adoption window: must be above 1.20"),
        ({"max_drawdown": 0.12}, 0.99, "drawdown 12.0%"),
        ({"trades_per_year": 149.9}, 0.99, "149.9 trades a year"),
        ({}, 0.949, "probability 0.949"),
        ({"sharpe": 0.0, "n_trades": 0, "trades_per_year": 0.0}, 0.0, "0 trades"),
    ],
)
def test_each_limit_rejects_and_says_so(changes: dict[str, float], psr: float, said: str) -> None:
    verdict = judge(replace(GOOD, **changes), psr, FIRST, LIMITS, 500)  # type: ignore[arg-type]
    assert verdict.status == "rejected"
    assert any(said in reason for reason in verdict.reasons)


def test_limits_themselves() -> None:
    at = replace(GOOD, sharpe=1.2001, max_drawdown=0.1199, trades_per_year=150.0)
    assert judge(at, 0.95, FIRST, LIMITS, 500).status == "approved"


@pytest.mark.parametrize(
    ("new", "old", "status"),
    [
        ((1.9, 0.05), (2.0, 0.05), "approved"),  # 0.95 × 2.0 itself is enough
        ((1.89, 0.05), (2.0, 0.05), "rejected"),
        ((2.0, 0.08), (2.0, 0.05), "approved"),
        ((2.0, 0.081), (2.0, 0.05), "rejected"),
    ],
)
def test_the_deployed_model_must_not_be_better(new: tuple[float, float], old: tuple[float, float], status: str) -> None:
    comparison = Comparison(
        "20240101_0000_deadbeef",
        deployed=replace(GOOD, sharpe=old[0], max_drawdown=old[1]),
        challenger=replace(GOOD, sharpe=new[0], max_drawdown=new[1]),
        span="2023-02 to 2023-12",
    )
    verdict = judge(GOOD, 0.99, comparison, LIMITS, 500)
    assert verdict.status == status
    assert any("20240101_0000_deadbeef" in reason for reason in verdict.reasons)


def test_a_missing_number_blocks_the_verdict() -> None:
    with pytest.raises(BlockedError, match="sharpe"):
        judge(replace(GOOD, sharpe=float("nan")), 0.99, FIRST, LIMITS, 500)
    with pytest.raises(BlockedError, match="psr"):
        judge(GOOD, float("nan"), FIRST, LIMITS, 500)
    comparison = Comparison("V", deployed=replace(GOOD, max_drawdown=float("inf")), challenger=GOOD, span="x")
    with pytest.raises(BlockedError, match="deployed max_drawdown"):
        judge(GOOD, 0.99, comparison, LIMITS, 500)
