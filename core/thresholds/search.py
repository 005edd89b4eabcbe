"""The search for θ: a coarse grid, then Optuna's TPE from what the grid has shown (SPEC TH-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from core.config.core_policy import ThetaObjective, ThetaRange, ThetaSearch
from core.errors import InputError
from core.thresholds.objective import Evaluation, SearchData, evaluate
from core.thresholds.proposals import ORIGIN, Proposals, Theta
from core.thresholds.trial_store import MemoryTrials, TrialStore, finished

_STATES = (TrialState.RUNNING, TrialState.COMPLETE)
_VALUE_TOLERANCE = 1e-9


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
    previous: Theta,
    seed: int,
    on_trial: Callable[[int, int], None],
    store: TrialStore | None = None,
) -> SearchOutcome:
    """Try the previous θ, a grid over the range, then up to `trials` proposals of TPE.

    TPE starts from the grid's values and stops early after `early_stop_trials` proposals without gain. The same data,
    policy and seed give the same trials, also where a search was killed and taken up again. Workers on one store share
    the trials among them and end with the same outcome; which θ are proposed then depends on how they interleave.

    Args:
        data: what a θ is tried on.
        objective, ranges, policy: the search policies.
        previous: θ1, θ2 in force.
        seed: of the sampler.
        on_trial: called after each trial of this worker with the number done by all and the most there can be.
        store: where the trials are kept; in this process's memory unless given. A store belongs to one search: the
            same data, policies and seed.

    Raises:
        InputError: THETA_TRIALS_ALTERED when a stored trial is not one this search makes.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = store if store is not None else MemoryTrials()
    proposals = Proposals(ranges, policy, seed)
    valued: dict[int, Evaluation] = {}
    first = evaluate(data, objective, *previous)
    on_trial(1, 1 + proposals.most)
    while (claimed := _claim(trials, proposals)) is not None:
        number, theta, done = claimed
        valued[number] = evaluate(data, objective, *theta)
        trials.study.tell(number, valued[number].value, skip_if_finished=True)
        trials.release(number)
        on_trial(2 + done, 1 + proposals.most)

    found = [Trial("previous", first)]
    for trial in _known(trials):
        evaluation = valued.get(trial.number) or evaluate(data, objective, *_theta(trial))
        _require_same(trial, evaluation, trials.name)
        found.append(Trial(trial.user_attrs[ORIGIN], evaluation))
    return SearchOutcome(tuple(found), _candidates(found, policy.candidates_kept))


def _claim(store: TrialStore, proposals: Proposals) -> tuple[int, Theta, int] | None:
    """Number and θ of a trial for this worker, and how many are done; None when the search is over.

    A trial whose worker died comes first, then a new one. With neither, a trial another worker holds is waited for: its
    value may let the search go on, and its worker may die.
    """
    while True:
        with store.numbering():
            known = _known(store)
            running = [trial for trial in known if not finished(trial)]
            for trial in running:
                if store.claim(trial.number, wait=False):
                    return trial.number, _theta(trial), len(known) - len(running)
            proposed = proposals.next(known)
            if proposed is not None:
                store.study.add_trial(proposed)
                store.claim(len(known), wait=True)
                return len(known), _theta(proposed), len(known) - len(running)
        if not running:
            return None
        store.claim(running[0].number, wait=True)
        store.release(running[0].number)


def _known(store: TrialStore) -> list[FrozenTrial]:
    """All trials in order of number. Raises InputError when one is in a state no worker of ours leaves it in."""
    known: list[FrozenTrial] = store.study.get_trials(deepcopy=False)
    for number, trial in enumerate(known):
        if trial.number != number or trial.state not in _STATES:
            raise _altered(f"trial {trial.number} is {trial.state.name.lower()}", store.name)
    return known


def _theta(trial: FrozenTrial) -> Theta:
    return trial.params["theta1"], trial.params["theta2"]


def _require_same(trial: FrozenTrial, evaluation: Evaluation, where: str) -> None:
    if abs(trial.value - evaluation.value) > _VALUE_TOLERANCE:
        stored, worth = f"{trial.value!r}", f"{evaluation.value!r}"
        raise _altered(f"trial {trial.number} is stored with {stored}; its θ is worth {worth}", where)


def _altered(what: str, where: str) -> InputError:
    return InputError(
        "THETA_TRIALS_ALTERED",
        what,
        where=where,
        remedy="the stored trials were altered: delete the study (optuna delete-study), then run theta again",
    )


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
