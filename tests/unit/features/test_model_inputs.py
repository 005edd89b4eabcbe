"""From features to what a model sees: direction, scaling, the schema file and the preprocessing report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.config.core_policy import CorePolicy, Scaling
from core.config.loader import load_settings
from core.errors import InputError
from core.features.alignment import align_to_reversion
from core.features.batch import build_features
from core.features.preprocessing import PairPreprocessing, preprocessing_report
from core.features.scaling import fit_scalers
from core.features.schema import FeatureSchema, schema_definition
from core.stores.feature_cache import months_of
from tests.unit.features.bars import REPOSITORY, short_windows, simulated_bars

SCALING = Scaling(mad_factor=1.4826, clip=5.0, clipped=("z", "speed"))
COLUMNS = ("z", "speed", "half_life")


@pytest.fixture(scope="module")
def policy() -> CorePolicy:
    return load_settings(REPOSITORY / "configs", "dev").core_policy


def test_scaling_by_hand() -> None:
    rows = np.array([[1.0, 7.0, 10.0], [2.0, 7.0, 20.0], [3.0, 7.0, 30.0], [100.0, 7.0, 40.0]])
    scalers = fit_scalers(rows, COLUMNS, SCALING)
    assert scalers.median.tolist() == [2.5, 7.0, 25.0]
    assert scalers.divisor.tolist() == [1.4826 * 1.0, 1.0, 1.4826 * 10.0]
    scaled = scalers.transform(np.array([[2.5 + 1.4826, 9.0, 25.0], [1e6, -1e6, 1e6]]))
    np.testing.assert_allclose(scaled[0], [1.0, 2.0, 0.0], rtol=1e-12)
    assert scaled[1].tolist() == [5.0, -5.0, (1e6 - 25.0) / 14.826]


def test_no_training_row_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit_scalers(np.empty((0, 3)), COLUMNS, SCALING)


def test_direction_by_hand() -> None:
    columns = ("z", "rsi_spread", "speed", "slope_spread")
    rows = np.array([[2.5, 80.0, 0.1, 0.4], [-2.5, 20.0, 0.1, -0.4]])
    aligned = align_to_reversion(rows, columns, rows[:, 0])
    assert aligned.tolist() == [[-2.5, -30.0, 0.1, -0.4], [-2.5, -30.0, 0.1, -0.4]]
    assert rows[0, 0] == 2.5


@given(
    rows=arrays(np.float64, (7, 4), elements=st.floats(-1e3, 1e3)),
    z=arrays(np.float64, 7, elements=st.floats(-5, 5).filter(bool)),
)
def test_a_spread_turned_over_looks_the_same(rows: np.ndarray, z: np.ndarray) -> None:
    columns = ("z", "rsi_spread", "speed", "ema_gap_spread")
    turned = rows * np.array([-1.0, -1.0, 1.0, -1.0]) + np.array([0.0, 100.0, 0.0, 0.0])
    np.testing.assert_allclose(
        align_to_reversion(rows, columns, z), align_to_reversion(turned, columns, -z), rtol=1e-12, atol=1e-9
    )


def test_schema_file_round_trip_and_hash(policy: CorePolicy) -> None:
    rows = np.random.default_rng(0).normal(size=(50, len(policy.model_inputs)))
    schema = FeatureSchema(schema_definition(policy), fit_scalers(rows, policy.model_inputs, policy.scaling))
    again = FeatureSchema.from_json(schema.to_json())
    assert again.to_json() == schema.to_json()
    np.testing.assert_array_equal(again.scalers.transform(rows), schema.scalers.transform(rows))
    assert again.model_inputs == policy.model_inputs
    other = FeatureSchema(schema_definition(policy), fit_scalers(rows + 1, policy.model_inputs, policy.scaling))
    assert other.schema_hash == schema.schema_hash
    assert json.loads(schema.to_json())["scalers"]["z"].keys() == {"median", "divisor", "clip"}


def test_every_setting_that_shapes_the_inputs_changes_the_hash(policy: CorePolicy) -> None:
    def hash_with(**update: object) -> str:
        changed = policy.model_copy(update=update)
        return FeatureSchema(schema_definition(changed), fit_scalers(np.ones((1, 1)), ("z",), SCALING)).schema_hash

    hashes = {
        hash_with(),
        hash_with(feature_windows=short_windows()),
        hash_with(model_inputs=("z", "dz")),
        hash_with(scaling=SCALING),
    }
    assert len(hashes) == 4


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"rsi": 14', '"rsi": 15'),
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"scalers"', '"scales"'),
        lambda text: text[: len(text) // 2],
        lambda _: "[]",
    ],
)
def test_an_altered_schema_file_is_refused(policy: CorePolicy, spoil: object) -> None:
    assert callable(spoil)
    schema = FeatureSchema(schema_definition(policy), fit_scalers(np.ones((1, 1)), ("z",), policy.scaling))
    with pytest.raises(InputError, match="FEATURES_SCHEMA_UNREADABLE"):
        FeatureSchema.from_json(spoil(schema.to_json().decode()).encode())


def test_report_counts_what_is_imputed_and_left_out() -> None:
    bars = simulated_bars(100, seed=6)
    table = build_features(bars, short_windows())
    counted = PairPreprocessing()
    for month in months_of(bars):
        first = int(month.ts[0] - bars.ts[0]) // 3600
        end = first + len(month)
        counted.add(month, replace(table, values=table.values[first:end]))
    pair = preprocessing_report({"A-B": counted})["pairs"]["A-B"]
    incomplete = int((~np.isfinite(table.values).all(axis=1)).sum())
    assert pair["bars"] == 100
    assert pair["rows"] == 100 - incomplete > 0
    assert pair["excluded"]["rows_with_nan"] == incomplete
    assert pair["excluded"]["nan_by_column"]["beta"] == short_windows().beta
    assert pair["imputed"]["filled_bars"] == int((bars.filled > 0).sum())
    assert pair["flagged"]["spike_bars"] == int((bars.spike > 0).sum())
