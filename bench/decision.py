"""One live decision of one pair, from its row of features to yes or no, beside the usual calls (SPEC SRV-2, SRV-4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from catboost import CatBoostClassifier, Pool
from sklearn.isotonic import IsotonicRegression

from bench.features import CONFIG
from bench.measurement import Measurement, Work, side_by_side
from bench.memory import Job, memory_beside
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
from core.stores.tree_export import live_models

ROWS = 10_000
CALLS, USUAL_CALLS = 2_000, 200
ROUNDS = 9
CHECKED = 200
THETA = (0.7, 0.3)
PEER = "predict_proba+isotonic"

Probabilities = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Case:
    """Fitted models, rows to decide on (m, k) and their z (m,); for the usual calls the rows scaled, and isotonics."""

    columns: tuple[str, ...]
    z_stop: float
    models: FittedModels
    rows: Floats
    z: Floats
    inputs: Floats
    isotonics: tuple[IsotonicRegression, IsotonicRegression]


def measure(size: int) -> list[Measurement]:
    """Processor microseconds from a pair's row to a decision, and megabytes; `size` is not used: it looks at one bar.

    The usual way is CatBoost's predict_proba and scikit-learn's IsotonicRegression.predict for both classifiers, on
    the same models and rows that are scaled already. Both sides' probabilities agree.

    Raises:
        AssertionError: the fused pass and CatBoost with its calibration disagree.
    """
    settings = load_settings(CONFIG, "dev")
    case = _case(settings)
    fused, usual = _fused(case), _usual(case)
    for i in range(CHECKED):
        np.testing.assert_allclose(fused(i), usual(i), rtol=0.0, atol=1e-12)
    time = side_by_side(
        "live_decision",
        "µs/pair",
        Work(partial(_decide, fused, case, CALLS), CALLS),
        {PEER: Work(partial(_decide, usual, case, USUAL_CALLS), USUAL_CALLS)},
        rounds=ROUNDS,
        scale=1e6,
    )
    ours, theirs = (Job(_deciding, (way, case)) for way in (_fused, _usual))
    return [time, memory_beside("live_decision_memory", ours, {PEER: theirs})]


def _decide(probabilities: Probabilities, case: Case, calls: int) -> int:
    """Decide on `calls` rows one by one. Returns how many are taken."""
    taken = 0
    for i in range(calls):
        return_prob, risk_score = probabilities(i)
        taken += return_prob > THETA[0] and risk_score < THETA[1] and abs(case.z[i]) < case.z_stop
    return taken


def _deciding(way: Callable[[Case], Probabilities], case: Case) -> Callable[[], object]:
    """Make the models ready and decide."""
    return lambda: _decide(way(case), case, USUAL_CALLS)


def _fused(case: Case) -> Probabilities:
    """AI3's excursion, which sizes the position, is computed as well."""
    live = LivePredictor(live_models(case.models), case.columns)
    return lambda i: live.predict(case.rows[i], case.z[i])[:2]


def _usual(case: Case) -> Probabilities:
    """predict_proba, then IsotonicRegression.predict."""
    first, second = (_loaded(model) for model in (case.models.ai1, case.models.ai2))

    def calibrated(trees: Any, isotonic: Any, i: int) -> float:
        row = case.inputs[i : i + 1].astype(np.float32)
        return float(isotonic.predict(trees.predict_proba(row, thread_count=1)[:, 1])[0])

    return lambda i: (calibrated(first, case.isotonics[0], i), calibrated(second, case.isotonics[1], i))


def _loaded(model: Classifier) -> Any:
    trees: Any = CatBoostClassifier()
    trees.load_model(blob=model.trees)
    return trees


def _case(settings: Settings) -> Case:
    """Models of the size the policy gives."""
    core, parameters = settings.core_policy, settings.retrain_policy.models
    columns = tuple(core.model_inputs)
    random = np.random.default_rng(20240101)
    rows, z = random.normal(size=(ROWS, len(columns))), random.normal(size=ROWS) * 2.5
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
    models = FittedModels(classifier(parameters.ai1), classifier(parameters.ai2), quantile, scalers)
    isotonics = (_isotonic(models.ai1, inputs, label), _isotonic(models.ai2, inputs, label))
    return Case(columns, core.decision.z_stop, models, rows, z, inputs, isotonics)


def _isotonic(model: Classifier, inputs: Floats, label: Floats) -> IsotonicRegression:
    pool = Pool(inputs.astype(np.float32))
    seen = _loaded(model).predict(pool, prediction_type="RawFormulaVal", thread_count=1)
    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(sigmoid(np.asarray(seen)), label)
