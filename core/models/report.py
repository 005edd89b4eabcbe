"""The content of metrics.json (SPEC TRN-2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.market.pairs import Floats
from core.models.learning import Learning, Target
from core.models.metrics import (
    calibration_curve,
    probability_metrics,
    quantile_metrics,
    require_complete,
    score_metrics,
)
from core.models.predictor import Predictions, Predictor
from core.models.samples import Pool
from core.models.walk_forward import WalkForward
from core.models.windows import Windows


def training_metrics(
    pool: Pool,
    windows: Windows,
    learning: Learning,
    walked: WalkForward,
    *,
    quantile: float,
    theta2: float,
    base_rates: dict[str, float],
) -> dict[str, Any]:
    """Metrics in cross-validation and out of sample, calibration, importance and base rates.

    Out of sample means the walk-forward predictions whose labels are whole. Brier and ECE are given there only, because
    the calibration is fitted on the validation folds.

    Args:
        pool, windows, learning, walked: the training as it ran.
        quantile: AI3's quantile.
        theta2: risk score at and above which AI2 calls a risk, for its weighted F1; AI1's is taken at one half.
        base_rates: of all labelled starts.

    Raises:
        BlockedError: MODEL_METRIC_MISSING when a metric has no value.
    """
    samples = pool.samples
    at = np.concatenate([result.at for result in walked.steps])
    predictions = Predictions(
        *(np.concatenate(column) for column in zip(*(r.predictions for r in walked.steps), strict=True))
    )
    whole = samples.labelled[at]
    seen = samples.take(at[whole])
    known = samples.take(samples.labelled)
    unseen = walked.final.record.unseen_scores
    importance = Predictor(walked.final.models, learning.columns).importance()

    def out_of_sample(target: Target, probability: Floats, threshold: float) -> dict[str, float]:
        return probability_metrics(target.values(seen), probability[whole], threshold)

    metrics: dict[str, Any] = {
        "base_rates": base_rates,
        "samples": {
            "pairs": len(pool.pair_ids),
            "starts": len(samples),
            "labelled": len(known),
            "out_of_sample": int(at.size),
            "out_of_sample_labelled": len(seen),
        },
        "cv": {
            "ai1": score_metrics(known.ai1, unseen["ai1"]),
            "ai2": score_metrics(known.ai2, unseen["ai2"]),
            "ai3": quantile_metrics(known.ai3, unseen["ai3"], quantile),
        },
        "oos": {
            "ai1": out_of_sample(learning.ai1, predictions.return_prob, 0.5),
            "ai2": out_of_sample(learning.ai2, predictions.risk_score, theta2),
            "ai3": quantile_metrics(seen.ai3, predictions.excursion[whole], quantile),
        },
        "calibration": {
            "ai1": calibration_curve(seen.ai1, predictions.return_prob[whole]),
            "ai2": calibration_curve(seen.ai2, predictions.risk_score[whole]),
        },
        "feature_importance": {
            name: dict(zip(learning.columns, shares.tolist(), strict=True))
            for name, shares in zip(("ai1", "ai2", "ai3"), importance, strict=True)
        },
        "windows": {
            "first_prediction": windows.first_prediction,
            "theta": [windows.theta_start, windows.theta_end],
            "adoption": [windows.adoption_start, windows.adoption_end],
            "steps": [
                {"step": result.step.name, "trained_on": result.trained_on, "predicted": int(result.at.size)}
                for result in walked.steps
            ],
        },
    }
    require_complete(metrics)
    return metrics
