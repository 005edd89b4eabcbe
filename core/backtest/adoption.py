"""The verdict on a model: absolute limits, evidence of skill, and the comparison with the deployed one (SPEC BT-4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.backtest.significance.deflated_sharpe import DeflatedSharpe
from core.backtest.significance.overfitting import Overfitting
from core.backtest.significance.paired_difference import Answer, PairedDifference
from core.backtest.summary import Summary
from core.config.backtest_policy import AdoptionLimits
from core.errors import BlockedError


@dataclass(frozen=True)
class Comparison:
    """The judged model and the deployed one on the same window, each on predictions it was not trained on."""

    deployed_version: str
    deployed: Summary
    challenger: Summary
    paired: PairedDifference
    span: str
    note: str


@dataclass(frozen=True)
class NotCompared:
    """Why there is no comparison; `deployed_version` is None when no model is deployed, and none is needed."""

    reason: str
    deployed_version: str | None


@dataclass(frozen=True)
class Evidence:
    """What the number of tries leaves of the results.

    `search` holds the θ in force against the luckiest of the θ tried, on the search window; `adoption` the model
    against the luckiest of the verdicts on bars of its adoption window; `overfitting` the choice among the θ tried.
    """

    search: DeflatedSharpe
    adoption: DeflatedSharpe
    overfitting: Overfitting


@dataclass(frozen=True)
class Verdict:
    """`reasons` holds what was missed when rejected, and every check that was passed when approved."""

    status: Literal["approved", "rejected"]
    reasons: tuple[str, ...]

    @property
    def retrain_status(self) -> Literal["adopted", "rejected"]:
        """What the verdict makes of the retraining (SPEC TRN-2); without a verdict it is `blocked`."""
        return "adopted" if self.status == "approved" else "rejected"


@dataclass(frozen=True)
class _Check:
    passed: bool
    found: str
    wanted: str


def judge(
    adoption: Summary,
    psr: float,
    comparison: Comparison | NotCompared,
    evidence: Evidence,
    limits: AdoptionLimits,
    psr_days: int,
) -> Verdict:
    """Judge a model on its adoption window.

    Args:
        adoption: the backtest at the chosen θ on the adoption window.
        psr: probabilistic Sharpe ratio against 0 over all out-of-sample months.
        comparison: with the deployed model, or why there is none.
        evidence: the numbers that allow for the tries behind the result.
        limits: the policy.
        psr_days: how many daily returns stand behind `psr`, said in the reason.

    Raises:
        BlockedError: BACKTEST_METRIC_MISSING when a number is not finite.
    """
    _require_finite({**asdict(adoption), "psr over all out-of-sample months": psr})
    for name, numbers in asdict(evidence).items():
        _require_finite({f"{name} {key}": value for key, value in numbers.items()})
    year = f"{adoption.n_trades} trades in {adoption.years:.2f} years"
    checks = [
        _Check(
            adoption.sharpe > limits.sharpe_min,
            f"Sharpe {adoption.sharpe:.2f} on the adoption window",
            f"above {limits.sharpe_min:.2f}",
        ),
        _Check(
            adoption.max_drawdown < limits.max_drawdown,
            f"largest drawdown {adoption.max_drawdown:.1%} on the adoption window",
            f"below {limits.max_drawdown:.1%}",
        ),
        _Check(
            adoption.trades_per_year >= limits.trades_per_year_min,
            f"{adoption.trades_per_year:.1f} trades a year ({year})",
            f"at least {limits.trades_per_year_min:.0f}",
        ),
        _Check(
            psr >= limits.psr_min,
            f"probability {psr:.3f} that the true Sharpe is above 0 ({psr_days} out-of-sample days)",
            f"at least {limits.psr_min:.2f}",
        ),
        *_tries(evidence, limits),
    ]
    notes: tuple[str, ...] = ()
    if isinstance(comparison, Comparison):
        checks += _against_deployed(comparison, limits)
        notes = (comparison.note,)
    elif comparison.deployed_version is None:
        notes = (comparison.reason,)
    else:
        found = f"{comparison.reason}: unproven whether the model is better or not worse"
        checks.append(_unproven(found, limits))
    missed = tuple(f"{check.found}: must be {check.wanted}" for check in checks if not check.passed)
    if missed:
        return Verdict("rejected", missed + notes)
    return Verdict("approved", tuple(f"{check.found}: {check.wanted}" for check in checks) + notes)


def _tries(evidence: Evidence, limits: AdoptionLimits) -> list[_Check]:
    search, adoption, chosen = evidence.search, evidence.adoption, evidence.overfitting
    return [
        _at_least(
            search.probability,
            limits.deflated_sharpe.search_min,
            f"probability {search.probability:.3f} that the true Sharpe on the search window ({search.sharpe:.2f} in"
            f" {search.n_days} days) is above the {search.benchmark:.2f} of the luckiest of {search.n_trials} θ",
        ),
        _at_least(
            adoption.probability,
            limits.deflated_sharpe.adoption_min,
            f"probability {adoption.probability:.3f} that the true Sharpe on the adoption window is above the"
            f" {adoption.benchmark:.2f} of the luckiest of {adoption.n_trials} verdicts on its bars",
        ),
        _at_most(
            chosen.probability,
            limits.overfitting.probability_max,
            f"probability of backtest overfitting {chosen.probability:.3f} among {chosen.n_trials} θ",
        ),
        _at_most(
            chosen.loss_probability,
            limits.overfitting.loss_probability_max,
            f"the best θ of one half of the search window earned nothing on the other in"
            f" {chosen.loss_probability:.1%} of {chosen.n_splits} splits",
        ),
    ]


def _at_least(value: float, limit: float, found: str) -> _Check:
    return _Check(value >= limit, found, f"at least {limit:.2f}" if limit > 0.0 else "reported only")


def _at_most(value: float, limit: float, found: str) -> _Check:
    return _Check(value <= limit, found, f"at most {limit:.2f}" if limit < 1.0 else "reported only")


def _against_deployed(comparison: Comparison, limits: AdoptionLimits) -> list[_Check]:
    new, old, paired = comparison.challenger, comparison.deployed, comparison.paired
    _require_finite(asdict(new))
    _require_finite({f"deployed {name}": value for name, value in asdict(old).items()})
    _require_finite({"difference": paired.difference, "its low": paired.low, "its high": paired.high})
    least = limits.sharpe_ratio_to_deployed_min * old.sharpe
    most = old.max_drawdown + limits.max_drawdown_above_deployed
    where = f"against the deployed {comparison.deployed_version} over {comparison.span}"
    difference = (
        f"Sharpe {paired.difference:+.2f} ({paired.low:+.2f} to {paired.high:+.2f}; {paired.moved_days} of"
        f" {paired.n_days} shared days with a result) {where}: {paired.answer.value.replace('_', ' ')}"
    )
    return [
        _Check(
            new.sharpe >= least,
            f"Sharpe {new.sharpe:.2f} {where}",
            f"at least {limits.sharpe_ratio_to_deployed_min:.2f} × its {old.sharpe:.2f}",
        ),
        _Check(
            new.max_drawdown <= most,
            f"largest drawdown {new.max_drawdown:.1%} {where}",
            f"at most {limits.max_drawdown_above_deployed:.1%} above its {old.max_drawdown:.1%}",
        ),
        _unproven(difference, limits)
        if paired.answer is Answer.UNPROVEN
        else _Check(passed=True, found=difference, wanted=f"not worse by {limits.paired.margin_sharpe:.2f}"),
    ]


def _unproven(found: str, limits: AdoptionLimits) -> _Check:
    if limits.paired.unproven_decides == "approve":
        return _Check(passed=True, found=found, wanted="which the policy lets pass")
    return _Check(passed=False, found=found, wanted=f"proven not worse by {limits.paired.margin_sharpe:.2f}")


def _require_finite(numbers: Mapping[str, Any]) -> None:
    missing = sorted(name for name, value in numbers.items() if not math.isfinite(value))
    if missing:
        raise BlockedError(
            "BACKTEST_METRIC_MISSING",
            f"no verdict without {', '.join(missing)}",
            where="adoption verdict",
            remedy="look for gaps in the run's bars and predictions, mend them and run again",
        )
