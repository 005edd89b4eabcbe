"""One live decision of one pair, from its row of features to yes or no, beside the usual calls (SPEC SRV-2, SRV-4)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from catboost import CatBoostClassifier, Pool
from sklearn.isotonic import IsotonicRegression

from bench.features import CONFIG
from bench.measurement import Measurement
from core.config.loader import load_settings
from core.config.retrain_policy import CatBoostParameters
from core.config.settings import Settings
from core.features.alignment import align_to_reversion
from core.features.scaling import fit_scalers
from core.market.pairs import Floats
from core.models.artifact import Classifier, Quantile
from core.models.boosting import Trees, fit_trees
from core.models.calibration import fit_isotonic, sigmoid
from core.models.fitting import FittedModels
from core.models.live_predictor import LivePredictor
from core.signals.decision import passes
from core.stores.tree_export import live_models

ROWS = 10_000
CALLS = 2_000


def measure(size: int) -> list[Measurement]:
    """Median microseconds from a pair's row to a decision; `size` is not used: a decision looks at one bar.

    The usual way is CatBoost's predict_proba and scikit-learn's IsotonicRegression.predict for both classifiers, on
    models of the same size. Both sides' probabilities agree.

    Raises:
        AssertionError: the fused pass and CatBoost with its calibration disagree.
    """
    settings = load_settings(CONFIG, "dev")
    columns = tuple(settings.core_policy.model_inputs)
    random = np.random.default_rng(20240101)
    rows, z = random.normal(size=(ROWS, len(columns))), random.normal(size=ROWS) * 2.5
    models, inputs, label = _fitted(settings, columns, rows, z)
    live = LivePredictor(live_models(models), columns)
    decision = settings.core_policy.decision
    usual = [_usual(each, inputs, label) for each in (models.ai1, models.ai2)]

    def fused(i: int) -> object:
        return_prob, risk_score, _ = live.predict(rows[i], z[i])
        return return_prob > 0.7 and risk_score < 0.3 and abs(z[i]) < decision.z_stop

    def classic(i: int) -> object:
        row = inputs[i : i + 1]
        return_prob, risk_score = (predict(row) for predict in usual)
        return passes(return_prob, risk_score, 0.7, 0.3, z[i], decision)

    for i in range(200):
        expected = [float(predict(inputs[i : i + 1])) for predict in usual]
        np.testing.assert_allclose(live.predict(rows[i], z[i])[:2], expected, rtol=0.0, atol=1e-12)
    ours, theirs = _median(fused, CALLS), _median(classic, CALLS // 10)
    return [Measurement("live_decision", 1e6 * ours, "µs/pair", {"predict_proba+isotonic": theirs / ours})]


def _fitted(
    settings: Settings, columns: tuple[str, ...], rows: Floats, z: Floats
) -> tuple[FittedModels, Floats, Floats]:
    core, parameters = settings.core_policy, settings.retrain_policy.models
    aligned = align_to_reversion(rows, columns, z)
    scalers = fit_scalers(aligned, columns, core.scaling)
    inputs = scalers.transform(aligned)
    label = (inputs[:, 0] + np.random.default_rng(1).normal(size=ROWS) > 0.0).astype(np.float64)

    def trees(target: Floats, loss: str, size: CatBoostParameters) -> bytes:
        return fit_trees(inputs, target, None, loss=loss, centred=loss == "Logloss", parameters=size, seed=1)

    def classifier(size: CatBoostParameters) -> Classifier:
        fitted = trees(label, "Logloss", size)
        return Classifier(fitted, fit_isotonic(Trees(fitted).score(inputs), label))

    quantile = Quantile(trees(np.abs(inputs[:, 1]) * 0.01, "Quantile:alpha=0.9", parameters.ai3))
    return FittedModels(classifier(parameters.ai1), classifier(parameters.ai2), quantile, scalers), inputs, label


def _usual(model: Classifier, inputs: Floats, label: Floats) -> Callable[[Floats], Any]:
    """predict_proba, then IsotonicRegression.predict."""
    trees: Any = CatBoostClassifier()
    trees.load_model(blob=model.trees)
    seen = trees.predict(Pool(inputs.astype(np.float32)), prediction_type="RawFormulaVal", thread_count=1)
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(sigmoid(np.asarray(seen)), label)
    return lambda row: isotonic.predict(trees.predict_proba(row.astype(np.float32), thread_count=1)[:, 1])[0]


def _median(call: Callable[[int], object], calls: int) -> float:
    """Median seconds of a call."""
    taken: list[float] = []
    for i in range(calls):
        start = time.perf_counter()
        call(i)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
