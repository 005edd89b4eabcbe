"""CatBoost, held to one thread and to reproducible bytes (SPEC TRN-4)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from catboost import CatBoost
from catboost import Pool as CatBoostPool

from core.config.retrain_policy import CatBoostParameters
from core.market.pairs import Floats

_FIXED_METADATA: Final = {"model_guid": "", "train_finish_time": ""}
"""What CatBoost takes from the clock and from chance, blanked."""


def fit_trees(
    rows: Floats,
    target: Floats,
    weight: Floats | None,
    *,
    loss: str,
    centred: bool,
    parameters: CatBoostParameters,
    seed: int,
) -> bytes:
    """Boosted trees in CatBoost's binary format. The same arguments give the same bytes.

    Args:
        rows: float64 (n, k), finite.
        target: float64 (n,), finite.
        weight: float64 (n,) > 0, or None for equal weights.
        loss: CatBoost's name of the loss, e.g. ``Logloss`` or ``Quantile:alpha=0.9``.
        centred: shift the scores so that their mean over the training rows is 0.
        parameters: the policy's parameters.
        seed: seed of the row sampling.
    """
    model: Any = CatBoost(
        {
            "loss_function": loss,
            "iterations": parameters.iterations,
            "depth": parameters.depth,
            "learning_rate": parameters.learning_rate,
            "l2_leaf_reg": parameters.l2_leaf_reg,
            "border_count": parameters.border_count,
            "bootstrap_type": "Bernoulli",
            "subsample": parameters.subsample,
            "leaf_estimation_iterations": parameters.leaf_estimation_iterations,
            "thread_count": parameters.thread_count,
            "boosting_type": "Plain",
            "random_seed": seed,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
    )
    narrow = rows.astype(np.float32)
    model.fit(CatBoostPool(narrow, target, weight=weight))
    if centred:
        mean = float(np.mean(model.predict(narrow, prediction_type="RawFormulaVal", thread_count=1)))
        scale, bias = model.get_scale_and_bias()
        model.set_scale_and_bias(scale, bias - mean)
    metadata = model.get_metadata()
    for key, value in _FIXED_METADATA.items():
        metadata[key] = value
    return bytes(model._serialize_model())


class Trees:
    """Fitted trees, ready to score."""

    def __init__(self, content: bytes) -> None:
        self._model: Any = CatBoost()
        self._model.load_model(blob=content)

    def score(self, rows: Floats) -> Floats:
        """Raw scores float64 (m,) of rows float64 (m, k): log-odds for ``Logloss``, the value itself for a quantile."""
        if rows.shape[0] == 0:
            return np.empty(0)
        scores = self._model.predict(rows.astype(np.float32), prediction_type="RawFormulaVal", thread_count=1)
        return np.asarray(scores, dtype=np.float64)

    def importance(self) -> Floats:
        """Share of each column in the change of the score, float64 (k,), in percent."""
        return np.asarray(self._model.get_feature_importance(type="PredictionValuesChange"), dtype=np.float64)
