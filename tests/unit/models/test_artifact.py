"""Model files: reproducible bytes, plain content, nothing executed when read."""

from __future__ import annotations

import pickle
import pickletools

import numpy as np
import pytest

from core.config.retrain_policy import CatBoostParameters
from core.errors import InputError
from core.models.artifact import Classifier, Quantile, dump, load_classifier, load_quantile
from core.models.boosting import Trees, fit_trees
from core.models.calibration import Isotonic

PARAMETERS = CatBoostParameters(
    iterations=10,
    depth=2,
    learning_rate=0.1,
    l2_leaf_reg=3.0,
    border_count=32,
    subsample=0.5,
    leaf_estimation_iterations=1,
    thread_count=1,
)
ROWS = np.random.default_rng(0).normal(size=(400, 3))
LABELS = (ROWS[:, 0] > 0.7).astype(np.float64)


def _trees(*, centred: bool = False, seed: int = 7) -> bytes:
    return fit_trees(ROWS, LABELS, None, loss="Logloss", centred=centred, parameters=PARAMETERS, seed=seed)


def test_the_same_fit_gives_the_same_bytes() -> None:
    isotonic = Isotonic(np.array([0.2, 0.7]), np.array([0.1, 0.9]))
    assert dump(Classifier(_trees(), isotonic)) == dump(Classifier(_trees(), isotonic))
    assert _trees() != _trees(seed=8)


def test_a_round_trip_keeps_every_bit() -> None:
    model = Classifier(_trees(), Isotonic(np.array([0.2, 1 / 3]), np.array([0.1, 0.9])))
    again = load_classifier(dump(model))
    assert again.trees == model.trees
    np.testing.assert_array_equal(again.isotonic.x, model.isotonic.x)
    np.testing.assert_array_equal(again.isotonic.y, model.isotonic.y)
    np.testing.assert_array_equal(Trees(again.trees).score(ROWS), Trees(model.trees).score(ROWS))
    assert load_quantile(dump(Quantile(model.trees))).trees == model.trees


def test_a_model_file_looks_up_no_class() -> None:
    content = dump(Classifier(_trees(), Isotonic(np.array([0.2]), np.array([0.1]))))
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(content)}
    assert not opcodes & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps({"format": "another"}),
        pickle.dumps([1, 2]),
        pickle.dumps({"format": "ml-assets-core/classifier/1", "catboost": b"x"}),
        pickle.dumps(np.float64(1.0)),
        dump(Quantile(b"x")),
        b"cposix\nsystem\n(S'touch /tmp/opened'\ntR.",
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="MODEL_ARTIFACT_UNREADABLE"):
        load_classifier(content)


def test_centred_scores_average_zero_over_the_training_rows() -> None:
    plain, centred = Trees(_trees()).score(ROWS), Trees(_trees(centred=True)).score(ROWS)
    assert abs(plain.mean()) > 0.1
    assert centred.mean() == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(centred, plain - plain.mean(), atol=1e-12)
    assert Trees(_trees()).importance().argmax() == 0
