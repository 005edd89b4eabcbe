"""A small training on simulated bars, from features to predictions, in one process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.config.retrain_policy import CrossValidation, LeakCertificate
from core.features import batch
from core.market.pairs import Floats, PairBars
from core.models.fit_record import FitRecord
from core.models.leakage.certificate import Check
from core.models.leakage.future_noise import Learned
from core.models.leakage.training import check_training
from core.models.learning import plan_learning
from core.models.pooling import pool_pairs
from core.models.predictor import Predictions
from core.models.walk_forward import fit_all, predict_step
from core.models.windows import plan_windows
from tests.unit.labels.synthetic import HOUR, pair_bars
from tests.unit.models.synthetic import policies

POLICY = LeakCertificate(moments=2, refits=1, window_ends=12, noise_scales=(0.25, 1.0, 10.0))
CORE, RETRAIN = policies(folds=3, min_block_bars=60)
SEED = 11


@dataclass(frozen=True)
class Trained:
    """A training, ready to be checked."""

    learned: Learned
    final: FitRecord

    def checks(self, policy: LeakCertificate = POLICY) -> dict[str, Check]:
        return {check.name: check for check in check_training(self.learned, self.final, policy, decide, SEED)}


def decide(predictions: Predictions, z: Floats) -> Floats:
    return np.column_stack((predictions.return_prob > 0.6, predictions.risk_score < 0.4, np.abs(z) < 4.0)).astype(float)


def market(seed: int, n: int = 3_600) -> PairBars:
    """Hourly bars of a pair whose spread reverts; one bar in a hundred is filled."""
    rng = np.random.default_rng(seed)
    trend = np.cumsum(rng.normal(0.0, 0.002, n))
    spread = np.zeros(n)
    for i in range(1, n):
        spread[i] = 0.97 * spread[i - 1] + rng.normal(0.0, 0.002)
    return pair_bars(
        np.exp(trend + spread),
        np.exp(trend),
        pair_id=f"P{seed}",
        filled=(rng.random(n) < 0.01).astype(np.uint8),
    )


def train(fold_validation: CrossValidation | None = None, others: Mapping[str, PairBars] | None = None) -> Trained:
    """Train on three pairs, and `others` where given.

    `fold_validation` is what purges, where it is another than what the certificate asks for.

    Everything is looked up where the product looks it up, so that a test may plant a fault there.
    """
    bars = {**{f"P{seed}": market(seed) for seed in range(3)}, **(others or {})}
    tables = {pair_id: batch.build_features(pair, CORE.feature_windows) for pair_id, pair in bars.items()}
    pool = pool_pairs(bars, tables, CORE, fold_validation or RETRAIN.cross_validation)
    policy = RETRAIN.walk_forward.model_copy(update={"first_training_days": 60, "adoption_window_months": 1})
    windows = plan_windows(pool.timeline, HOUR, policy)
    learning = plan_learning(CORE, RETRAIN)
    steps = tuple(predict_step(pool, learning, step) for step in windows.steps)
    final = fit_all(pool, learning).record
    return Trained(Learned(bars, tables, CORE, RETRAIN.cross_validation, pool, learning, steps), final)
