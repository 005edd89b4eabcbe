"""CatBoost's binary models as JSON: CatBoost writes that form to files only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import orjson
from catboost import CatBoost

from core.models.artifact import Classifier, Quantile
from core.models.fitting import FittedModels
from core.models.live_predictor import LiveModels
from core.models.oblivious import ObliviousTrees


def live_models(models: FittedModels) -> LiveModels:
    """The fitted models in the form in which single rows are scored.

    Raises:
        InputError: MODEL_ARTIFACT_UNREADABLE when a model is not of oblivious trees over numbers.
    """
    return LiveModels(
        ai1=_export(models.ai1),
        ai2=_export(models.ai2),
        ai3=_export(models.ai3),
        calibration1=models.ai1.isotonic,
        calibration2=models.ai2.isotonic,
        scalers=models.scalers,
    )


def _export(model: Classifier | Quantile) -> ObliviousTrees:
    trees: Any = CatBoost()
    trees.load_model(blob=model.trees)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trees.json"
        trees.save_model(str(path), format="json")
        return ObliviousTrees.from_json(orjson.loads(path.read_bytes()))
