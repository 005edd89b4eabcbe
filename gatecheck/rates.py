"""Approval rates with exact confidence intervals, the power curve, and whether they are within the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.stats import binomtest

from gatecheck.plan import Group, Targets
from gatecheck.results import Result

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Rate:
    """`approved` of `markets`, with the exact (Clopper–Pearson) 95 % interval of the true share."""

    markets: int
    approved: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """0 where there is no market."""
        return self.approved / self.markets if self.markets else 0.0

    def __str__(self) -> str:
        return (
            f"{self.approved} of {self.markets} approved ({self.share:.0%}; 95 % CI {self.low:.1%} to {self.high:.1%})"
        )


def rate_of(results: Sequence[Result]) -> Rate:
    """The approval rate of the markets that came to a verdict or were blocked; a failed chain is neither."""
    judged = [result for result in results if result.outcome != "failed"]
    approved = sum(result.outcome == "approved" for result in judged)
    if not judged:
        return Rate(0, 0, 0.0, 1.0)
    interval = binomtest(approved, len(judged)).proportion_ci(CONFIDENCE, method="exact")
    return Rate(len(judged), approved, float(interval.low), float(interval.high))


def power_curve(results: Sequence[Result]) -> dict[float, Rate]:
    """Approval rate of the markets with an edge by half-life in bars, shortest first."""
    edge = [result for result in results if result.group == "edge"]
    half_lives = sorted({result.half_life_bars for result in edge})
    return {each: rate_of([result for result in edge if result.half_life_bars == each]) for each in half_lives}


def of_group(results: Sequence[Result], group: Group) -> list[Result]:
    return [result for result in results if result.group == group]


def missed_targets(results: Sequence[Result], targets: Targets) -> list[str]:
    """In words, every target the observed rates miss; a group without a judged market misses none."""
    bounds: list[tuple[Group, str, float]] = [
        ("no_edge", "at most", targets.no_edge_approved_max),
        ("edge", "at least", targets.edge_approved_min),
        ("break_even", "at most", targets.break_even_approved_max),
    ]
    missed = []
    for group, sense, bound in bounds:
        rate = rate_of(of_group(results, group))
        within = rate.share <= bound if sense == "at most" else rate.share >= bound
        if rate.markets and not within:
            missed.append(f"{group}: {rate.share:.0%} approved, must be {sense} {bound:.0%}")
    return missed


def mean_sharpe(results: Sequence[Result]) -> tuple[float, float] | None:
    """Mean Sharpe on the adoption windows and its standard error; None with fewer than two verdicts."""
    sharpes = np.array([result.sharpe for result in results if result.sharpe is not None])
    if sharpes.size < 2:
        return None
    return float(sharpes.mean()), float(sharpes.std(ddof=1) / np.sqrt(sharpes.size))


def closing(results: Sequence[Result]) -> dict[str, Any]:
    """The run's last line. `power` maps a half-life in bars to the share approved."""
    no_edge, edge = rate_of(of_group(results, "no_edge")), rate_of(of_group(results, "edge"))
    content: dict[str, Any] = {
        "null_markets": no_edge.markets,
        "null_approved": no_edge.approved,
        "edge_markets": edge.markets,
        "edge_approved": edge.approved,
        "power": {f"{half_life:g}": round(rate.share, 4) for half_life, rate in power_curve(results).items()},
    }
    hard = rate_of(of_group(results, "break_even"))
    if hard.markets:
        content |= {"break_even_markets": hard.markets, "break_even_approved": hard.approved}
    return content | {"failed": sum(result.outcome == "failed" for result in results)}
