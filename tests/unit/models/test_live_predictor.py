"""One row alone gives the bits that CatBoost, the calibration and the batch give among many."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from core.config.retrain_policy import CatBoostParameters
from core.errors import InputError
from core.features.alignment import align_to_reversion
from core.features.scaling import fit_scalers
from core.models.artifact import Classifier, Quantile
from core.models.boosting import Trees, fit_trees
from core.models.calibration import Isotonic, calibrated, fit_isotonic, sigmoid
from core.models.fitting import FittedModels
from core.models.live_predictor import LivePredictor
from core.models.oblivious import ObliviousTrees
from core.models.predictor import Predictor
from core.stores.tree_export import live_models
from tests.unit.models.synthetic import base_settings

ROWS = 4096


@cache
def fitted() -> tuple[FittedModels, tuple[str, ...]]:
    """Models of the policy's own size on rows that mean something."""
    settings = base_settings()
    core, models = settings.core_policy, settings.retrain_policy.models
    columns = tuple(core.model_inputs)
    random = np.random.default_rng(3)
    rows, z = random.normal(size=(ROWS, len(columns))), random.normal(size=ROWS) * 2.5
    aligned = align_to_reversion(rows, columns, z)
    scalers = fit_scalers(aligned, columns, core.scaling)
    inputs = scalers.transform(aligned)
    label = (inputs[:, 0] + random.normal(size=ROWS) > 0.0).astype(np.float64)

    def classifier(parameters: CatBoostParameters) -> Classifier:
        trees = fit_trees(inputs, label, None, loss="Logloss", centred=True, parameters=parameters, seed=1)
        return Classifier(trees, fit_isotonic(Trees(trees).score(inputs), label))

    excursion = np.abs(inputs[:, 1]) * 0.01
    quantile = fit_trees(
        inputs, excursion, None, loss="Quantile:alpha=0.9", centred=False, parameters=models.ai3, seed=1
    )
    return FittedModels(classifier(models.ai1), classifier(models.ai2), Quantile(quantile), scalers), columns


def test_a_row_alone_gives_the_bits_of_the_batch() -> None:
    models, columns = fitted()
    random = np.random.default_rng(4)
    rows, z = random.normal(size=(ROWS, len(columns))) * 3.0, random.normal(size=ROWS) * 2.5
    alone = LivePredictor(live_models(models), columns).predict_rows(rows, z)
    batch = Predictor(models, columns).predict(rows, z)
    for name in batch._fields:
        assert getattr(alone, name).tobytes() == getattr(batch, name).tobytes(), name
    assert np.unique(alone.return_prob).size > 10


def test_no_rows_give_no_predictions() -> None:
    models, columns = fitted()
    found = LivePredictor(live_models(models), columns).predict_rows(np.empty((0, len(columns))), np.empty(0))
    assert [column.shape for column in found] == [(0,)] * 3


@given(
    st.lists(st.tuples(st.floats(-8.0, 8.0), st.booleans()), min_size=2, max_size=60),
    st.lists(st.floats(-12.0, 12.0), min_size=1, max_size=20),
)
def test_the_calibration_is_scikit_learns(seen: list[tuple[float, bool]], asked: list[float]) -> None:
    scores, labels = (np.array(values, dtype=np.float64) for values in zip(*seen, strict=True))
    isotonic = fit_isotonic(scores, labels)
    wanted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(sigmoid(scores), labels)
    probabilities = isotonic.probability(np.array(asked))
    np.testing.assert_array_equal(probabilities, wanted.predict(sigmoid(np.array(asked))))
    assert probabilities.tolist() == [calibrated(score, isotonic.x, isotonic.y) for score in asked]


def test_a_score_that_is_missing_has_no_probability() -> None:
    line = Isotonic(np.array([0.2, 0.8]), np.array([0.1, 0.9]))
    assert np.isnan(line.probability(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    "content", [{}, {"oblivious_trees": [{"splits": [{"border": 1.0}]}], "scale_and_bias": [1, [0]]}]
)
def test_trees_of_another_kind_are_refused(content: dict[str, object]) -> None:
    with pytest.raises(InputError, match="oblivious"):
        ObliviousTrees.from_json(content)
