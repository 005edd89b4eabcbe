"""All checks of one training."""

from __future__ import annotations

import numpy as np

from core.config.retrain_policy import LeakCertificate
from core.models.fit_record import FitRecord
from core.models.leakage.certificate import Check
from core.models.leakage.fitted_rows import FittedRows, check_calibrations, check_scalers
from core.models.leakage.future_noise import Decide, Learned, check_future_noise
from core.models.leakage.sample_times import sample_times
from core.models.leakage.windows import check_final, check_folds, check_steps

FINAL = "final"


def check_training(
    learned: Learned, final: FitRecord, policy: LeakCertificate, decide: Decide, seed: int
) -> tuple[Check, ...]:
    """The checks TRAINING_CHECKS names, in that order. The same training and seed give the same checks.

    Args:
        learned: the training's inputs and its walk-forward.
        final: what the published models were fitted on.
        policy: how many moments, window ends and refits.
        decide: what is decided on predictions.
        seed: of everything drawn by chance.
    """
    random = np.random.default_rng(seed)
    times = sample_times(learned.pool, learned.bars, learned.core.label.ai1.horizon_bars, learned.validation)
    fits = {**{result.step.name: result.record for result in learned.steps}, FINAL: final}
    last_close = max(int(bars.ts[-1]) + bars.timeframe_seconds for bars in learned.bars.values())
    rows = FittedRows.of(learned.pool, learned.learning)
    again = (str(random.choice([name for name in fits if name != FINAL])), FINAL)
    return (
        check_folds(fits, times),
        check_steps(learned.steps, times),
        check_final(final, times, last_close),
        *check_future_noise(learned, policy, decide, random),
        check_scalers(fits, rows, again),
        check_calibrations(fits, rows, again, random),
    )
