"""The search for θ: a coarse grid, then Optuna's TPE from what the grid has shown (SPEC TH-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import FloatDistribution

from core.config.core_policy import ThetaObjective, ThetaRange, ThetaSearch
from core.thresholds.objective import Evaluation, SearchData, evaluate


@dataclass(frozen=True)
class Trial:
    """One θ tried: `origin` is previous, grid or tpe."""

    origin: str
    evaluation: Evaluation


@dataclass(frozen=True)
class SearchOutcome:
    """All trials in order, the first being the previous θ; `candidates` index those within limits, best first."""

    trials: tuple[Trial, ...]
    candidates: tuple[int, ...]

    @property
    def previous(self) -> Evaluation:
        """The θ to be improved on."""
        return self.trials[0].evaluation

    @property
    def best(self) -> Evaluation | None:
        """The best θ within limits, None when there is none."""
        return self.trials[self.candidates[0]].evaluation if self.candidates else None


def search(
    data: SearchData,
    objective: ThetaObjective,
    ranges: ThetaRange,
    policy: ThetaSearch,
    *,
    previous: tuple[float, float],
    seed: int,
    on_trial: Callable[[int, int], None],
) -> SearchOutcome:
    """Try the previous θ, a grid over the range, then up to `trials` proposals of TPE.

    TPE starts from the grid's values and stops early after `early_stop_trials` proposals without gain. The same data,
    policy and seed give the same trials.

    Args:
        data: what a θ is tried on.
        objective, ranges, policy: the search policies.
        previous: θ1, θ2 in force.
        seed: of the sampler.
        on_trial: called after each trial with the number done and the most there can be.
    """
    most = 1 + policy.grid_points**2 + policy.trials
    trials: list[Trial] = []

    def attempt(origin: str, theta1: float, theta2: float) -> Evaluation:
        evaluation = evaluate(data, objective, theta1, theta2)
        trials.append(Trial(origin, evaluation))
        on_trial(len(trials), most)
        return evaluation

    attempt("previous", *previous)
    axes = {"theta1": ranges.theta1, "theta2": ranges.theta2}
    distributions = {name: FloatDistribution(*bounds) for name, bounds in axes.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for theta1, theta2 in product(*(np.linspace(*bounds, policy.grid_points).tolist() for bounds in axes.values())):
        value = attempt("grid", theta1, theta2).value
        known = {"theta1": theta1, "theta2": theta2}
        study.add_trial(optuna.trial.create_trial(params=known, distributions=distributions, value=value))
    best, stale = study.best_value, 0
    for _ in range(policy.trials):
        asked = study.ask(distributions)
        value = attempt("tpe", asked.params["theta1"], asked.params["theta2"]).value
        study.tell(asked, value)
        best, stale = (value, 0) if value > best else (best, stale + 1)
        if stale >= policy.early_stop_trials:
            break
    return SearchOutcome(tuple(trials), _candidates(trials, policy.candidates_kept))


def trials_frame(outcome: SearchOutcome) -> pd.DataFrame:
    """trials.parquet: one row a trial in order; `candidate` is the rank among those within limits, 0 for the rest."""
    ranks = {index: rank for rank, index in enumerate(outcome.candidates, start=1)}
    return pd.DataFrame(
        [
            {
                "number": number,
                "origin": trial.origin,
                "theta1": trial.evaluation.theta1,
                "theta2": trial.evaluation.theta2,
                "value": trial.evaluation.value,
                "annual_return": trial.evaluation.annual_return,
                "max_drawdown": trial.evaluation.max_drawdown,
                "trades_per_year": trial.evaluation.trades_per_year,
                "false_positive": trial.evaluation.false_positive,
                "sharpe": trial.evaluation.sharpe,
                "n_trades": trial.evaluation.n_trades,
                "within_limits": trial.evaluation.within_limits,
                "candidate": ranks.get(number, 0),
            }
            for number, trial in enumerate(outcome.trials)
        ]
    )


def _candidates(trials: list[Trial], kept: int) -> tuple[int, ...]:
    within = [index for index, trial in enumerate(trials) if trial.evaluation.within_limits]
    return tuple(sorted(within, key=lambda index: (-trials[index].evaluation.value, index))[:kept])
