from __future__ import annotations

from dataclasses import replace

import pytest

from core.backtest.adoption import Comparison, Evidence, NotCompared, judge
from core.backtest.significance.deflated_sharpe import DeflatedSharpe
from core.backtest.significance.overfitting import Overfitting
from core.backtest.significance.paired_difference import Answer, PairedDifference
from core.backtest.summary import Summary
from core.config.backtest_policy import AdoptionLimits, DeflatedSharpeLimits, OverfittingLimits, PairedComparison
from core.errors import BlockedError

LIMITS = AdoptionLimits(
    sharpe_min=1.2,
    max_drawdown=0.12,
    trades_per_year_min=150.0,
    psr_min=0.95,
    sharpe_ratio_to_deployed_min=0.95,
    max_drawdown_above_deployed=0.03,
    comparison_days_min=120,
    observed_days_share_min=0.75,
    paired=PairedComparison(
        margin_sharpe=0.5,
        confidence=0.95,
        block_days=10,
        resamples=1000,
        moved_days_min=40,
        unproven_decides="approve",
    ),
    deflated_sharpe=DeflatedSharpeLimits(search_min=0.4, adoption_min=0.5),
    overfitting=OverfittingLimits(blocks=12, probability_max=0.8, loss_probability_max=0.5),
)
REPORTED = LIMITS.model_copy(
    update={
        "deflated_sharpe": DeflatedSharpeLimits(search_min=0.0, adoption_min=0.0),
        "overfitting": OverfittingLimits(blocks=12, probability_max=1.0, loss_probability_max=1.0),
    }
)
STRICT = LIMITS.model_copy(update={"paired": LIMITS.paired.model_copy(update={"unproven_decides": "reject"})})
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
EVIDENCE = Evidence(
    search=DeflatedSharpe(0.4, 2.5, 1.1, n_trials=97, n_days=260),
    adoption=DeflatedSharpe(0.5, 2.0, 0.3, n_trials=3, n_days=260),
    overfitting=Overfitting(0.8, 0.5, n_trials=97, n_splits=924),
)
FIRST = NotCompared("no model is deployed", None)


def compared(
    new: tuple[float, float], old: tuple[float, float], answer: Answer = Answer.NOT_WORSE, low: float = -0.3
) -> Comparison:
    return Comparison(
        "20240101_0000_deadbeef",
        deployed=replace(GOOD, sharpe=old[0], max_drawdown=old[1]),
        challenger=replace(GOOD, sharpe=new[0], max_drawdown=new[1]),
        paired=PairedDifference(answer, new[0] - old[0], low, 0.9, n_days=230, moved_days=180),
        span="2023-02 to 2023-12",
        note="compared over 330 days",
    )


def test_a_model_within_all_limits_is_approved_with_its_numbers() -> None:
    verdict = judge(GOOD, 0.99, FIRST, EVIDENCE, LIMITS, 500)
    assert verdict.status == "approved"
    assert verdict.retrain_status == "adopted"
    assert len(verdict.reasons) == 9
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
    verdict = judge(replace(GOOD, **changes), psr, FIRST, EVIDENCE, LIMITS, 500)  # type: ignore[arg-type]
    assert verdict.status == "rejected"
    assert any(said in reason for reason in verdict.reasons)


def test_limits_themselves() -> None:
    at = replace(GOOD, sharpe=1.2001, max_drawdown=0.1199, trades_per_year=150.0)
    assert judge(at, 0.95, FIRST, EVIDENCE, LIMITS, 500).status == "approved"


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
    verdict = judge(GOOD, 0.99, compared(new, old), EVIDENCE, LIMITS, 500)
    assert verdict.status == status
    assert any("20240101_0000_deadbeef" in reason for reason in verdict.reasons)


def test_a_missing_number_blocks_the_verdict() -> None:
    with pytest.raises(BlockedError, match="sharpe"):
        judge(replace(GOOD, sharpe=float("nan")), 0.99, FIRST, EVIDENCE, LIMITS, 500)
    with pytest.raises(BlockedError, match="psr"):
        judge(GOOD, float("nan"), FIRST, EVIDENCE, LIMITS, 500)
    with pytest.raises(BlockedError, match="deployed max_drawdown"):
        judge(GOOD, 0.99, compared((2.0, 0.05), (2.0, float("inf"))), EVIDENCE, LIMITS, 500)
    with pytest.raises(BlockedError, match="low"):
        judge(GOOD, 0.99, compared((2.0, 0.05), (2.0, 0.05), low=float("nan")), EVIDENCE, LIMITS, 500)
    missing = replace(EVIDENCE, search=replace(EVIDENCE.search, probability=float("nan")))
    with pytest.raises(BlockedError, match="search probability"):
        judge(GOOD, 0.99, FIRST, missing, LIMITS, 500)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (
            replace(EVIDENCE, search=replace(EVIDENCE.search, probability=0.399)),
            "probability 0.399 that the true Sharpe on the search window (2.50 in 260 days) is above the 1.10 of the"
            " luckiest of 97 θ: must be at least 0.40",
        ),
        (
            replace(EVIDENCE, adoption=replace(EVIDENCE.adoption, probability=0.499)),
            "probability 0.499 that the true Sharpe on the adoption window is above the 0.30 of the luckiest of 3"
            " verdicts on its bars: must be at least 0.50",
        ),
        (
            replace(EVIDENCE, overfitting=replace(EVIDENCE.overfitting, probability=0.801)),
            "probability of backtest overfitting 0.801 among 97 θ: must be at most 0.80",
        ),
        (
            replace(EVIDENCE, overfitting=replace(EVIDENCE.overfitting, loss_probability=0.501)),
            "the best θ of one half of the search window earned nothing on the other in 50.1% of 924 splits: must be at"
            " most 0.50",
        ),
    ],
)
def test_the_tries_behind_a_result_count(evidence: Evidence, said: str) -> None:
    verdict = judge(GOOD, 0.99, FIRST, evidence, LIMITS, 500)
    assert (verdict.status, verdict.retrain_status) == ("rejected", "rejected")
    assert said in verdict.reasons
    assert judge(GOOD, 0.99, FIRST, EVIDENCE, LIMITS, 500).status == "approved"
    reported = judge(GOOD, 0.99, FIRST, evidence, REPORTED, 500)
    assert reported.status == "approved"
    assert sum(reason.endswith("reported only") for reason in reported.reasons) == 4


def test_what_unproven_decides_is_policy() -> None:
    unproven = compared((2.0, 0.05), (2.0, 0.05), Answer.UNPROVEN, low=-0.7)
    lenient = judge(GOOD, 0.99, unproven, EVIDENCE, LIMITS, 500)
    assert lenient.status == "approved"
    assert any("unproven: which the policy lets pass" in reason for reason in lenient.reasons)
    strict = judge(GOOD, 0.99, unproven, EVIDENCE, STRICT, 500)
    assert strict.status == "rejected"
    assert strict.reasons == (
        "Sharpe +0.00 (-0.70 to +0.90; 180 of 230 shared days with a result) against the deployed"
        " 20240101_0000_deadbeef over 2023-02 to 2023-12: unproven: must be proven not worse by 0.50",
        "compared over 330 days",
    )


@pytest.mark.parametrize("answer", [Answer.BETTER, Answer.NOT_WORSE])
def test_a_proven_answer_passes_either_policy(answer: Answer) -> None:
    for limits in (LIMITS, STRICT):
        verdict = judge(GOOD, 0.99, compared((2.0, 0.05), (2.0, 0.05), answer), EVIDENCE, limits, 500)
        assert verdict.status == "approved"
        assert any(answer.value.replace("_", " ") in reason for reason in verdict.reasons)


def test_a_deployed_model_that_cannot_be_compared_with_leaves_it_unproven() -> None:
    short = NotCompared("its predictions cover 30 days, 120 are needed", "20240101_0000_deadbeef")
    lenient, strict = (judge(GOOD, 0.99, short, EVIDENCE, limits, 500) for limits in (LIMITS, STRICT))
    assert (lenient.status, strict.status) == ("approved", "rejected")
    assert strict.reasons[0].startswith("its predictions cover 30 days, 120 are needed: unproven")
    assert judge(GOOD, 0.99, FIRST, EVIDENCE, STRICT, 500).status == "approved"
