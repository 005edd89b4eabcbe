"""Monthly walk-forward, then the refit on everything, spread over processes (SPEC TRN-1, S9)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from core.market.pairs import Ints
from core.models.fit_record import FitRecord
from core.models.fitting import Fit, fit_models
from core.models.learning import Learning
from core.models.predictor import Predictions, Predictor
from core.models.samples import Pool
from core.models.windows import Step, Windows
from core.models.worker_processes import Job, run_jobs

FINAL: Final = "final"
"""Name of the fit on all data among the parts of a walk-forward; the others bear their steps' names."""


@dataclass(frozen=True)
class StepResult:
    """Predictions of one step.

    Attributes:
        step: which one.
        at: int64 (m,), rows of `Pool.samples` predicted: all starts of the step, cut-off labels too.
        predictions: of those rows.
        record: what was fitted on, before the step.
    """

    step: Step
    at: Ints
    predictions: Predictions
    record: FitRecord

    @property
    def trained_on(self) -> int:
        """Number of labelled samples known before the step."""
        return int(self.record.train.size)


@dataclass(frozen=True)
class Parts:
    """Some parts of a walk-forward: steps by name, and the fit on all data where it is among them."""

    steps: Mapping[str, StepResult]
    final: Fit | None

    def __contains__(self, name: object) -> bool:
        return name in self.steps or (name == FINAL and self.final is not None)


NO_PARTS: Final = Parts(MappingProxyType({}), None)


@dataclass(frozen=True)
class WalkForward:
    """Out-of-sample predictions in time order and the fit on all data."""

    steps: tuple[StepResult, ...]
    final: Fit


def predict_step(pool: Pool, learning: Learning, step: Step) -> StepResult:
    """Learn from what is known before the step, then predict the step's starts.

    Raises:
        BlockedError: the samples before the step do not allow a fit.
    """
    samples = pool.samples
    at = np.flatnonzero((samples.ts >= step.start) & (samples.ts < step.end))
    train = samples.take(samples.known_before(step.start))
    fit = fit_models(train, pool.timeline, learning, (learning.ai1, learning.ai2))
    predictor = Predictor(fit.models, learning.columns)
    return StepResult(step, at, predictor.predict(samples.rows[at], samples.z[at]), fit.record)


def fit_all(pool: Pool, learning: Learning) -> Fit:
    """The models to publish: fitted on every labelled sample, all three cross-validated.

    Raises:
        BlockedError: the samples do not allow a fit.
    """
    train = pool.samples.take(pool.samples.labelled)
    return fit_models(train, pool.timeline, learning, (learning.ai1, learning.ai2, learning.ai3))


def part_names(windows: Windows) -> list[str]:
    """Names of all parts, those that take longest first."""
    return [FINAL, *(step.name for step in reversed(windows.steps))]


def fit_parts(
    names: Collection[str],
    pool: Pool,
    windows: Windows,
    learning: Learning,
    workers: int,
    on_progress: Callable[[int, int], None],
) -> Parts:
    """Run some parts. What a part gives depends neither on the others nor on `workers`.

    Args:
        names: of `part_names`.
        pool: all pairs' samples.
        windows: the steps.
        learning: targets and parameters.
        workers: processes to spread the work over.
        on_progress: called with (jobs done, jobs in all) after each job.

    Raises:
        BlockedError: the samples do not allow a fit.
        TransientError: MODEL_WORKER_LOST when a worker process dies.
    """
    every: dict[str, Job] = {step.name: functools.partial(predict_step, step=step) for step in windows.steps}
    every[FINAL] = fit_all
    # The longest jobs first, so that no process is left with one at the end.
    jobs = {name: every[name] for name in part_names(windows) if name in names}
    results = dict(zip(jobs, run_jobs(list(jobs.values()), (pool, learning), workers, on_progress), strict=True))
    final = results.pop(FINAL, None)
    return Parts(results, final)


def walk_forward(
    pool: Pool,
    windows: Windows,
    learning: Learning,
    workers: int,
    on_progress: Callable[[int, int], None],
    known: Parts = NO_PARTS,
) -> WalkForward:
    """Run every step and the fit on all data but the `known` ones. The result depends on neither those nor `workers`.

    Raises as `fit_parts` does.
    """
    missing = [name for name in part_names(windows) if name not in known]
    found = fit_parts(missing, pool, windows, learning, workers, on_progress)
    steps = {**known.steps, **found.steps}
    final = known.final or found.final
    if final is None:
        raise RuntimeError("a walk-forward without its fit on all data")
    return WalkForward(steps=tuple(steps[step.name] for step in windows.steps), final=final)
