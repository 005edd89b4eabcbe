"""Monthly walk-forward, then the refit on everything, spread over processes (SPEC TRN-1, S9)."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from core.errors import BlockedError, TransientError
from core.market.pairs import Ints
from core.models.fit_record import FitRecord
from core.models.fitting import Fit, fit_models
from core.models.learning import Learning
from core.models.predictor import Predictions, Predictor
from core.models.samples import Pool
from core.models.windows import Step, Windows

Result = TypeVar("Result")


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
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as executor:
        # The longest jobs first, so that no process is left with one at the end.
        final = executor.submit(_fit_all, pool, learning)
        steps = [executor.submit(_predict_step, pool, learning, step) for step in reversed(windows.steps)]
        jobs: list[Future[Any]] = [final, *steps]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                _unwrap(job)
                on_progress(done, len(jobs))
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
        return WalkForward(steps=tuple(_unwrap(future) for future in reversed(steps)), final=_unwrap(final))


def _end_with_parent() -> None:
    """Makes this worker end when the process it works for is killed; it would wait for its next job for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("a worker has no parent process")

    def watch() -> None:
        parent.join()
        signal.raise_signal(signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


@dataclass(frozen=True)
class _Refusal:
    """A BlockedError on its way out of a worker process."""

    code: str
    message: str
    where: str
    remedy: str


def _predict_step(pool: Pool, learning: Learning, step: Step) -> StepResult | _Refusal:
    return _try(lambda: predict_step(pool, learning, step))


def _fit_all(pool: Pool, learning: Learning) -> Fit | _Refusal:
    return _try(lambda: fit_all(pool, learning))


def _try(job: Callable[[], Result]) -> Result | _Refusal:
    try:
        return job()
    except BlockedError as error:
        return _Refusal(error.code, error.message, error.where, error.remedy)


def _unwrap(future: Future[Result | _Refusal]) -> Result:
    try:
        result = future.result()
    except BrokenProcessPool as error:
        raise TransientError(
            "MODEL_WORKER_LOST",
            "a training process died before it finished",
            where="core.models.walk_forward",
            remedy="run the task again; with little memory, lower workers in retrain_policy.yaml",
        ) from error
    if isinstance(result, _Refusal):
        raise BlockedError(result.code, result.message, where=result.where, remedy=result.remedy)
    return result
