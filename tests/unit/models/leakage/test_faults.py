"""Every leak planted into a training is caught by the check that is there for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.config.core_policy import FeatureWindows, Label
from core.features import batch, scaling
from core.features.alignment import align_to_reversion
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.labels.ai1 import label_ai1
from core.labels.ai2 import label_ai2
from core.labels.exits import scan_paths
from core.market.pairs import Floats, Ints, PairBars
from core.models import calibration, fitting, pooling
from core.models.boosting import Trees
from core.models.folds import Fold
from core.models.leakage import future_noise
from core.models.learning import Learning, Target
from core.models.samples import Samples
from tests.unit.models.leakage.training import CORE, RETRAIN, train


def _failed(**patched: Any) -> set[str]:
    checks = train(**patched).checks()
    failed = {name for name, check in checks.items() if not check.passed}
    assert all(checks[name].found for name in failed)
    return failed


def _plant_in_features(monkeypatch: pytest.MonkeyPatch, column: str) -> None:
    honest = batch.build_features

    def peeking(bars: PairBars, windows: FeatureWindows) -> FeatureTable:
        table = honest(bars, windows)
        values, at = table.values.copy(), FEATURE_COLUMNS.index(column)
        values[:-1, at] = values[1:, at]
        return replace(table, values=values)

    monkeypatch.setattr(batch, "build_features", peeking)
    monkeypatch.setattr(future_noise, "build_features", peeking)


@pytest.mark.parametrize("column", ["z", "dd_recent", "filled_share"])
def test_a_feature_that_reads_the_next_bar(monkeypatch: pytest.MonkeyPatch, column: str) -> None:
    _plant_in_features(monkeypatch, column)
    assert "future_noise_features" in _failed()


def test_a_feature_of_the_cache_that_no_kernel_computes() -> None:
    trained = train()
    table = trained.learned.tables["P1"]
    later = replace(table, values=np.concatenate((table.values[1:], table.values[-1:])))
    tables = {**trained.learned.tables, "P1": later}
    stale = replace(trained, learned=replace(trained.learned, tables=tables))
    assert not stale.checks()["future_noise_features"].passed


def _one_bar_longer(label: Label) -> Label:
    return label.model_copy(update={"ai1": label.ai1.model_copy(update={"horizon_bars": label.ai1.horizon_bars + 1})})


LONGER_LABELS: dict[str, tuple[str, Callable[..., Any]]] = {
    "ai1": (
        "label_ai1",
        lambda bars, table, starts, _: label_ai1(bars, table, starts, _one_bar_longer(CORE.label).ai1),
    ),
    "ai2": ("label_ai2", lambda table, starts, ai2, horizon: label_ai2(table, starts, ai2, horizon + 1)),
    "ai3": (
        "scan_paths",
        lambda bars, table, starts, label, decision: scan_paths(bars, table, starts, _one_bar_longer(label), decision),
    ),
}


@pytest.mark.parametrize("label", LONGER_LABELS)
def test_a_label_that_reads_one_bar_beyond_its_window(monkeypatch: pytest.MonkeyPatch, label: str) -> None:
    monkeypatch.setattr(pooling, *LONGER_LABELS[label])
    assert _failed() == {"future_noise_labels"}


def test_a_purge_that_is_too_short() -> None:
    short = RETRAIN.cross_validation.model_copy(update={"purge_bars": 0})
    assert _failed(fold_validation=short) >= {"windows_cross_validation", "windows_walk_forward"}


def test_an_embargo_that_is_too_short() -> None:
    short = RETRAIN.cross_validation.model_copy(update={"embargo_bars": 0})
    assert "windows_cross_validation" in _failed(fold_validation=short)


def test_folds_that_know_nothing_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    def shuffled(samples: Samples, *_: object) -> tuple[Fold, ...]:
        block = np.random.default_rng(0).integers(0, 3, len(samples))
        return tuple(Fold(np.flatnonzero(block != k), np.flatnonzero(block == k)) for k in range(3))

    monkeypatch.setattr(fitting, "split_folds", shuffled)
    assert _failed() == {"windows_cross_validation"}


def test_a_step_that_learns_from_what_it_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Samples, "known_before", lambda samples, moment: samples.labelled)
    assert _failed() >= {"windows_walk_forward", "future_noise_predictions"}


def test_scalers_on_all_data(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = train().learned.pool.samples
    everything = align_to_reversion(samples.rows, CORE.model_inputs, samples.z)
    monkeypatch.setattr(
        fitting, "fit_scalers", lambda rows, columns, policy: scaling.fit_scalers(everything, columns, policy)
    )
    assert "scalers" in _failed()


def test_scalers_of_a_fold_on_its_validation_rows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = fitting.fit_models

    def fit_models(samples: Samples, timeline: Ints, learning: Learning, validate: tuple[Target, ...]) -> fitting.Fit:
        rows = align_to_reversion(samples.rows, learning.columns, samples.z)
        monkeypatch.setattr(fitting, "fit_scalers", lambda _, *rest: scaling.fit_scalers(rows, *rest))
        return honest(samples, timeline, learning, validate)

    monkeypatch.setattr("core.models.walk_forward.fit_models", fit_models)
    assert "scalers" in _failed()


def test_a_calibration_on_scores_of_training_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_sample(
        samples: Samples, aligned: Floats, folds: Any, scaled_by: Any, target: Target, learning: Learning
    ) -> Floats:
        rows = scaling.fit_scalers(aligned, learning.columns, learning.scaling).transform(aligned)
        return Trees(fitting._fit(rows, target.values(samples), target, learning.seed)).score(rows)

    monkeypatch.setattr(fitting, "_score_folds", in_sample)
    assert _failed() == {"calibrations"}


def test_a_calibration_on_other_scores_than_the_validation_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fitting, "fit_isotonic", lambda scores, labels: calibration.fit_isotonic(scores + 0.1 * labels, labels)
    )
    assert _failed() == {"calibrations"}
