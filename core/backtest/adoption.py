"""The verdict on a model: absolute limits, evidence of skill, and the comparison with the deployed one (SPEC BT-4)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from core.backtest.summary import Summary
from core.config.backtest_policy import AdoptionLimits
from core.errors import BlockedError


@dataclass(frozen=True)
class Comparison:
    """The judged model and the deployed one on the same window, each on predictions it was not trained on."""

    deployed_version: str
    deployed: Summary
    challenger: Summary
    span: str


@dataclass(frozen=True)
class NotCompared:
    """Why there is no comparison with the deployed model."""

    reason: str


@dataclass(frozen=True)
class Verdict:
    """`reasons` holds what was missed when rejected, and every check that was passed when approved."""

    status: Literal["approved", "rejected"]
    reasons: tuple[str, ...]


def judge(
    adoption: Summary, psr: float, comparison: Comparison | NotCompared, limits: AdoptionLimits, psr_days: int
) -> Verdict:
    """Judge a model on its adoption window.

    Args:
        adoption: the backtest at the chosen θ on the adoption window.
        psr: probabilistic Sharpe ratio against 0 over all out-of-sample months.
        comparison: with the deployed model, or why there is none.
        limits: the policy.
        psr_days: how many daily returns stand behind `psr`, said in the reason.

    Raises:
        BlockedError: BACKTEST_METRIC_MISSING when a number is not finite.
    """
    _require_finite({**asdict(adoption), "psr over all out-of-sample months": psr})
    year = f"{adoption.n_trades} trades in {adoption.years:.2f} years"
    checks = [
        (
            adoption.sharpe > limits.sharpe_min,
            f"Sharpe {adoption.sharpe:.2f} on the adoption window",
            f"above {limits.sharpe_min:.2f}",
        ),
        (
            adoption.max_drawdown < limits.max_drawdown,
            f"largest drawdown {adoption.max_drawdown:.1%} on the adoption window",
            f"below {limits.max_drawdown:.1%}",
        ),
        (
            adoption.trades_per_year >= limits.trades_per_year_min,
            f"{adoption.trades_per_year:.1f} trades a year ({year})",
            f"at least {limits.trades_per_year_min:.0f}",
        ),
        (
            psr >= limits.psr_min,
            f"probability {psr:.3f} that the true Sharpe is above 0 ({psr_days} out-of-sample days)",
            f"at least {limits.psr_min:.2f}",
        ),
    ]
    notes: tuple[str, ...] = ()
    if isinstance(comparison, NotCompared):
        notes = (comparison.reason,)
    else:
        checks += _against_deployed(comparison, limits)
    missed = tuple(f"{found}: must be {wanted}" for passed, found, wanted in checks if not passed)
    if missed:
        return Verdict("rejected", missed + notes)
    return Verdict("approved", tuple(f"{found}: {wanted}" for _, found, wanted in checks) + notes)


def _against_deployed(comparison: Comparison, limits: AdoptionLimits) -> list[tuple[bool, str, str]]:
    new, old = comparison.challenger, comparison.deployed
    _require_finite(asdict(new))
    _require_finite({f"deployed {name}": value for name, value in asdict(old).items()})
    least = limits.sharpe_ratio_to_deployed_min * old.sharpe
    most = old.max_drawdown + limits.max_drawdown_above_deployed
    where = f"against the deployed {comparison.deployed_version} over {comparison.span}"
    return [
        (
            new.sharpe >= least,
            f"Sharpe {new.sharpe:.2f} {where}",
            f"at least {limits.sharpe_ratio_to_deployed_min:.2f} × its {old.sharpe:.2f}",
        ),
        (
            new.max_drawdown <= most,
            f"largest drawdown {new.max_drawdown:.1%} {where}",
            f"at most {limits.max_drawdown_above_deployed:.1%} above its {old.max_drawdown:.1%}",
        ),
    ]


def _require_finite(numbers: dict[str, float]) -> None:
    missing = sorted(name for name, value in numbers.items() if not math.isfinite(value))
    if missing:
        raise BlockedError(
            "BACKTEST_METRIC_MISSING",
            f"no verdict without {', '.join(missing)}",
            where="adoption verdict",
            remedy="look for gaps in the run's bars and predictions, mend them and run again",
        )
