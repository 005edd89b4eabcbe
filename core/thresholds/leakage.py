"""What the θ search saw lies before the adoption window (SPEC S9)."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from core.backtest.candidates import Candidates
from core.config.core_policy import ThetaObjective
from core.models.leakage.certificate import Check, conclude
from core.thresholds.objective import SearchData, evaluate
from core.thresholds.search import SearchOutcome


def check_theta(
    data: SearchData, outcome: SearchOutcome, policy: ThetaObjective, adoption_start: int, seed: int
) -> tuple[Check, ...]:
    """The checks THETA_CHECKS names, in that order.

    Args:
        data: what the search was given.
        outcome: its trials.
        policy: the objective.
        adoption_start: epoch seconds UTC; what exits then or later the search must not have seen.
        seed: of the noise.
    """
    return _check_window(data, adoption_start), _check_trials(data, outcome, policy, adoption_start, seed)


def _check_window(data: SearchData, adoption_start: int) -> Check:
    found = data.candidates
    seen = np.flatnonzero((found.decided >= data.window.start) & (found.exit_ts <= data.window.end))
    late = np.count_nonzero(found.exit_ts[seen] >= adoption_start)
    problems = [f"{late} of {seen.size} entries exit at or after {adoption_start}"] if late else []
    return conclude(
        "theta_window",
        "exits of the entries the search may trade, with the adoption window's start",
        seen.size,
        problems,
    )


def _check_trials(
    data: SearchData, outcome: SearchOutcome, policy: ThetaObjective, adoption_start: int, seed: int
) -> Check:
    blind = replace(data, candidates=_without_adoption(data.candidates, adoption_start, seed))
    problems = []
    for number, trial in enumerate(outcome.trials):
        one = trial.evaluation
        other = evaluate(blind, policy, one.theta1, one.theta2)
        same = one.value == other.value and np.array_equal(one.returns, other.returns)
        if not same:
            problems.append(
                f"trial {number} (θ1 {one.theta1:.3f}, θ2 {one.theta2:.3f}) changes with the adoption window"
            )
    return conclude(
        "theta_future_noise",
        "value and daily returns of every trial with those it has when whatever exits in the adoption window is noise",
        len(outcome.trials),
        problems,
    )


def _without_adoption(candidates: Candidates, adoption_start: int, seed: int) -> Candidates:
    """The candidates with every number of those that exit in the adoption window replaced by noise.

    A risk event is known at the end of the label's window, so it is noise where that lies in the adoption window.
    """
    random = np.random.default_rng(seed)
    late = candidates.exit_ts >= adoption_start
    marks = np.repeat(late, np.diff(candidates.mark_start))
    changed: dict[str, NDArray[np.float64]] = {}
    for field in fields(candidates):
        values = getattr(candidates, field.name)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            continue
        replaced = marks if field.name in {"mark_a", "mark_b"} else late
        drawn = random.random(values.shape)
        changed[field.name] = np.where(replaced, drawn, values)
    unknown = candidates.horizon >= adoption_start
    flipped = random.integers(0, 2, unknown.shape).astype(np.float64)
    changed["risk_event"] = np.where(unknown, flipped, candidates.risk_event)
    return replace(candidates, **changed)  # type: ignore[arg-type]
