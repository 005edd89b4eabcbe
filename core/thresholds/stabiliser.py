"""From the found θ to the one put in force (SPEC TH-3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config.core_policy import ThetaRange, ThetaSearch
from core.thresholds.gain import GainInterval

Theta = tuple[float, float]


@dataclass(frozen=True)
class ChosenTheta:
    """`held`: the previous θ stays; `found`: taken as found; `moved`: moved from the previous towards the found."""

    theta1: float
    theta2: float
    status: Literal["held", "found", "moved"]
    reason: str


def choose_theta(
    previous: Theta,
    found: Theta | None,
    interval: GainInterval | None,
    *,
    deployed: bool,
    n_starts: int,
    policy: ThetaSearch,
    ranges: ThetaRange,
) -> ChosenTheta:
    """Hold, take or move θ.

    Held when the window has fewer than `min_candidates` starts, when no θ met the limits, or when the interval of the
    gain includes 0. Otherwise the found θ is taken as it is when no model is deployed; with one deployed each θ moves
    to ewma_previous·previous + (1 − ewma_previous)·found, by at most `step_max`, within its range.

    Args:
        previous: θ1, θ2 in force (the initial ones when no model is deployed).
        found: the best θ within limits, None when there is none.
        interval: its gain over the previous; None only together with `found`.
        deployed: whether a model is deployed.
        n_starts: starts on the search window.
        policy, ranges: stabiliser and range.
    """
    if n_starts < policy.min_candidates:
        return _held(previous, f"{n_starts} starts on the search window; {policy.min_candidates} are needed")
    if found is None or interval is None:
        return _held(previous, "no θ met the limits of drawdown and trades on the search window")
    bounds = (
        f"gain {interval.gain:.4f}; {interval.low:.4f} to {interval.high:.4f} at {policy.confidence:.0%}"
        " once the choice among all θ tried is allowed for"
    )
    if not interval.excludes_zero:
        return _held(previous, f"the gain over the previous θ may be luck ({bounds})")
    if not deployed:
        return ChosenTheta(*found, status="found", reason=f"no model is deployed; taken as found ({bounds})")
    moved = tuple(
        _move(before, after, policy, limits)
        for before, after, limits in zip(previous, found, (ranges.theta1, ranges.theta2), strict=True)
    )
    return ChosenTheta(moved[0], moved[1], status="moved", reason=f"moved towards the found θ ({bounds})")


def _move(before: float, after: float, policy: ThetaSearch, limits: tuple[float, float]) -> float:
    wanted = policy.ewma_previous * before + (1.0 - policy.ewma_previous) * after
    stepped = min(max(wanted, before - policy.step_max), before + policy.step_max)
    return min(max(stepped, limits[0]), limits[1])


def _held(previous: Theta, reason: str) -> ChosenTheta:
    return ChosenTheta(*previous, status="held", reason=reason)
