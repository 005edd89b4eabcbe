"""Monthly walk-forward, then the refit on everything, spread over processes (SPEC TRN-1, S9)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.market.pairs import Ints
from core.models.fit_record import FitRecord
from core.models.fitting import Fit, fit_models
from core.models.learning import Learning
from core.models.predictor import Predictions, Predictor
from core.models.samples import Pool
from core.models.windows import Step, Windows
from core.models.worker_processes import run_jobs


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


def walk_forward(
    pool: Pool, windows: Windows, learning: Learning, workers: int, on_progress: Callable[[int, int], None]
) -> WalkForward:
    """Run every step and the fit on all data. The result does not depend on `workers`.

    Args:
        pool: all pairs' samples.
        windows: the steps.
        learning: targets and parameters.
        workers: processes to spread the work over.
        on_progress: called with (jobs done, jobs in all) after each job.

    Raises:
        BlockedError: the samples do not allow a fit.
        TransientError: MODEL_WORKER_LOST when a worker process dies.
    """
    # The longest jobs first, so that no process is left with one at the end.
    steps = [functools.partial(predict_step, step=step) for step in reversed(windows.steps)]
    final, *predicted = run_jobs([fit_all, *steps], (pool, learning), workers, on_progress)
    return WalkForward(steps=tuple(reversed(predicted)), final=final)
