"""How good the predictions are (SPEC TRN-1, TRN-2). A metric without a value is NaN and blocks the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, log_loss, roc_auc_score

from core.errors import BlockedError
from core.market.pairs import Floats
from core.models.calibration import sigmoid

CALIBRATION_BINS: Final = 10


def score_metrics(labels: Floats, scores: Floats) -> dict[str, float]:
    """Metrics of raw scores (log-odds) on rows their models have not seen.

    Returns:
        auc, pr_auc, logloss of the sigmoid, f1_weighted with class 1 called at even odds; NaN where only one class is
        present.
    """
    if np.unique(labels).size < 2:
        return dict.fromkeys(("auc", "pr_auc", "logloss", "f1_weighted"), math.nan)
    return _ranking(labels, scores) | {
        "logloss": float(log_loss(labels, sigmoid(scores))),
        "f1_weighted": float(f1_score(labels, scores >= 0.0, average="weighted")),
    }


def probability_metrics(labels: Floats, probability: Floats, threshold: float) -> dict[str, float]:
    """Metrics of a calibrated probability on rows it has not been fitted to.

    Args:
        labels: float64 (n,), 0 or 1.
        probability: float64 (n,) in [0, 1].
        threshold: probability at and above which class 1 is called, for the weighted F1.

    Returns:
        auc, pr_auc, logloss, brier, ece, f1_weighted, base_rate; NaN where only one class is present.
    """
    if np.unique(labels).size < 2:
        names = ("auc", "pr_auc", "logloss", "brier", "ece", "f1_weighted", "base_rate")
        return dict.fromkeys(names, math.nan)
    return _ranking(labels, probability) | {
        "logloss": float(log_loss(labels, probability)),
        "brier": float(np.mean((probability - labels) ** 2)),
        "ece": expected_calibration_error(labels, probability),
        "f1_weighted": float(f1_score(labels, probability >= threshold, average="weighted")),
        "base_rate": float(labels.mean()),
    }


def _ranking(labels: Floats, scores: Floats) -> dict[str, float]:
    return {
        "auc": float(roc_auc_score(labels, scores)),
        "pr_auc": float(average_precision_score(labels, scores)),
    }


def quantile_metrics(target: Floats, predicted: Floats, quantile: float) -> dict[str, float]:
    """Pinball loss (share of gross) and coverage, the share of targets at or below their prediction."""
    if target.size == 0:
        return {"pinball": math.nan, "coverage": math.nan}
    beyond = target - predicted
    return {
        "pinball": float(np.mean(np.maximum(quantile * beyond, (quantile - 1.0) * beyond))),
        "coverage": float(np.mean(beyond <= 0.0)),
    }


def calibration_curve(labels: Floats, probability: Floats) -> list[dict[str, float]]:
    """Ten equal-mass bins in rising probability: their bounds, mean prediction, share of ones and size."""
    order = np.argsort(probability, kind="stable")
    return [
        {
            "low": float(probability[bin_][0]),
            "high": float(probability[bin_][-1]),
            "predicted": float(probability[bin_].mean()),
            "observed": float(labels[bin_].mean()),
            "count": int(bin_.size),
        }
        for bin_ in np.array_split(order, CALIBRATION_BINS)
        if bin_.size
    ]


def expected_calibration_error(labels: Floats, probability: Floats) -> float:
    """ECE over ten equal-mass bins: mean of |predicted − observed| weighted by size (FORMULAS.md)."""
    bins = calibration_curve(labels, probability)
    weighted = sum(bin_["count"] * abs(bin_["predicted"] - bin_["observed"]) for bin_ in bins)
    return float(weighted / labels.size)


def require_complete(metrics: Mapping[str, Any]) -> None:
    """Every number must be finite.

    Raises:
        BlockedError: MODEL_METRIC_MISSING naming each metric that is not.
    """
    missing = list(_missing(metrics, ""))
    if missing:
        raise BlockedError(
            "MODEL_METRIC_MISSING",
            f"no value could be computed for {', '.join(missing)}",
            where="metrics.json",
            remedy="give more history or pairs, so that every period holds both outcomes of each label",
        )


def _missing(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _missing(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _missing(value, f"{path}[{position}]")
    elif node is None or (isinstance(node, float) and not math.isfinite(node)):
        yield path
