"""A training or search whose certificate does not hold ends with exit code 10 and leaves no model, no verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tasks.theta
import tasks.train
from core.backtest.engine import Window
from core.errors import QualityError
from core.features.batch import build_features
from core.models.leakage.certificate import THETA_CHECKS, TRAINING_CHECKS, read_certificate
from core.stores.files import write_bytes
from core.stores.run_folder import RunIdentity
from core.thresholds.objective import SearchData
from tasks.context import TaskContext
from tasks.gates import Gate
from tasks.leakage import certify_training
from tasks.theta import theta_run
from tasks.train import train_run
from tests.fixtures.gates import pass_gates
from tests.integration.publish.judged_runs import make_context
from tests.unit.models.leakage.training import CORE, POLICY, RETRAIN, market, train
from tests.unit.thresholds.test_search import search_data
from tests.unit.thresholds.test_theta_task import VERSION as SEARCHED
from tests.unit.thresholds.test_theta_task import write_run

VERSION = "20240101_0000_0a1b2c3d"
IDENTITY = RunIdentity(
    run_id=VERSION,
    model_version=VERSION,
    as_of="2024-01-01T00:00:00Z",
    timeframe="1h",
    data_hash="da7a",
    code_hash="c0de",
    config_hash="c0f1",
    seed=7,
    previous=None,
)


@pytest.fixture
def context(tmp_path: Path, registry_url: str) -> TaskContext:
    made = make_context(tmp_path, registry_url, "redis://localhost:1/0")
    walk = RETRAIN.walk_forward.model_copy(update={"first_training_days": 60, "adoption_window_months": 1})
    changes = {"walk_forward": walk, "leak_certificate": POLICY, "min_starts": 50, "workers": 1}
    retrain = RETRAIN.model_copy(update=changes)
    made = replace(made, settings=made.settings.model_copy(update={"retrain_policy": retrain}))
    run = made.run(VERSION)
    run.write_identity(IDENTITY)
    for path in (run.dataset_index, run.extreme_rows):
        write_bytes(path, b"no task but the gate looks at them")
    pass_gates(run, Gate.CANONICAL, Gate.INDEX, Gate.FEATURES)
    return made


def test_a_leak_stops_the_training(context: TaskContext, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = {f"P{seed}": market(seed) for seed in range(2)}
    tables = {pair_id: build_features(pair, CORE.feature_windows) for pair_id, pair in bars.items()}
    peeking = {
        pair_id: replace(table, values=np.concatenate((table.values[1:], table.values[-1:])))
        for pair_id, table in tables.items()
    }
    monkeypatch.setattr(tasks.train, "_load", lambda *_: (bars, peeking))
    with pytest.raises(QualityError, match=r"LEAK_CHECK_FAILED.*future_noise_features: beta of P0") as raised:
        train_run(context, VERSION, VERSION)
    assert raised.value.exit_code == 10
    run = context.run(VERSION)
    assert [path.name for path in run.model.iterdir()] == ["leak_certificate.json"]
    assert not run.oos_predictions.exists()
    assert not read_certificate(run.training_certificate.read_bytes(), "here").passed


def test_an_honest_training_leaves_its_certificate(context: TaskContext) -> None:
    trained = train()
    run = context.run(VERSION)
    certify_training(run, IDENTITY, context.settings, trained.learned, trained.final)
    certificate = read_certificate(run.training_certificate.read_bytes(), "here")
    assert certificate.passed
    assert (certificate.model_version, certificate.seed) == (VERSION, RETRAIN.seed)
    assert tuple(check.name for check in certificate.checks) == TRAINING_CHECKS


def test_a_search_on_the_adoption_window_chooses_no_theta(
    context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [pair.id for pair in context.settings.universe.pairs[:2]]
    data = search_data(days=200, pair_ids=(pairs[0], pairs[1]))
    run = context.run(SEARCHED)
    write_run(run, data, None)

    def reaching(**fields: Any) -> SearchData:
        return SearchData(**{**fields, "window": Window(data.window.start, data.window.end)})

    monkeypatch.setattr(tasks.theta, "SearchData", reaching)
    with pytest.raises(QualityError, match=r"theta_window: \d+ of \d+ entries exit at or after"):
        theta_run(context, SEARCHED, SEARCHED)
    certificate = read_certificate(run.theta_certificate.read_bytes(), "here")
    assert not certificate.passed
    assert tuple(check.name for check in certificate.checks) == THETA_CHECKS
    assert not run.verdict.exists()
    assert not (run.theta / "theta.json").exists()
