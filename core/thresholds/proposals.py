"""Which θ comes next: the grid, then TPE, each a function of the seed, its number and what is known by then."""

from __future__ import annotations

from itertools import product

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial

from core.config.core_policy import ThetaRange, ThetaSearch
from core.thresholds.trial_store import finished

Theta = tuple[float, float]
ORIGIN = "origin"
"""User attribute of a trial: grid or tpe."""


class Proposals:
    """The next trial of a study, worked out on a copy of it in memory.

    The sampler is seeded anew with (seed, number of the trial). So a search that was killed goes on with the proposals
    an undisturbed one would have made, which a sampler whose state died with its process could not.
    """

    def __init__(self, ranges: ThetaRange, policy: ThetaSearch, seed: int) -> None:
        self._policy, self._seed = policy, seed
        axes = {"theta1": ranges.theta1, "theta2": ranges.theta2}
        self._distributions = {name: FloatDistribution(*bounds) for name, bounds in axes.items()}
        spaced = (np.linspace(*bounds, policy.grid_points).tolist() for bounds in axes.values())
        self._grid: list[Theta] = list(product(*spaced))
        self._copy = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed))

    @property
    def most(self) -> int:
        """How many trials there can be."""
        return len(self._grid) + self._policy.trials

    def next(self, known: list[FrozenTrial]) -> FrozenTrial | None:
        """The running trial to add after those `known` (in order of number); None when the search is over."""
        number = len(known)
        if number >= self.most or self._stale(known) >= self._policy.early_stop_trials:
            return None
        if number < len(self._grid):
            origin, params = "grid", dict(zip(self._distributions, self._grid[number], strict=True))
        else:
            origin, params = "tpe", self._ask(known, number)
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=params,
            distributions=self._distributions,
            user_attrs={ORIGIN: origin},
        )

    def _ask(self, known: list[FrozenTrial], number: int) -> dict[str, float]:
        mirrored = self._copy.get_trials(deepcopy=False)
        for trial in known[: len(mirrored)]:
            if finished(trial) and not finished(mirrored[trial.number]):
                self._copy.tell(trial.number, trial.value)
        self._copy.add_trials(known[len(mirrored) :])
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        self._copy.sampler = optuna.samplers.TPESampler(seed=seed)
        return dict(self._copy.ask(self._distributions).params)

    def _stale(self, known: list[FrozenTrial]) -> int:
        """Proposals of TPE without gain since the last that had one, or since the grid."""
        best, stale = -np.inf, 0
        for trial in known:
            if not finished(trial):
                continue
            if trial.number < len(self._grid):
                best = max(best, trial.value)
            else:
                best, stale = (trial.value, 0) if trial.value > best else (best, stale + 1)
        return stale
