"""Metrics by hand, and what happens when one has no value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import BlockedError
from core.models.calibration import fit_isotonic
from core.models.metrics import (
    calibration_curve,
    expected_calibration_error,
    probability_metrics,
    quantile_metrics,
    require_complete,
    score_metrics,
)


def test_ece_by_hand() -> None:
    # Twenty rows, two a bin. Bins 1–9 predict 0.1 … 0.9 and hold one 1 in two: |p − 0.5| sums to 2.0; the last bin
    # predicts 1.0 and holds two ones: 0.
    probability = np.repeat(np.arange(1, 11) / 10, 2)
    labels = np.array([0.0, 1.0] * 9 + [1.0, 1.0])
    assert expected_calibration_error(labels, probability) == pytest.approx(0.2)
    curve = calibration_curve(labels, probability)
    assert len(curve) == 10
    assert curve[0] == {"low": 0.1, "high": 0.1, "predicted": 0.1, "observed": 0.5, "count": 2}


def test_probability_metrics_by_hand() -> None:
    labels, probability = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.2, 0.9, 0.4, 0.6])
    metrics = probability_metrics(labels, probability, 0.5)
    assert metrics["auc"] == pytest.approx(0.75)
    assert metrics["brier"] == pytest.approx((0.04 + 0.01 + 0.36 + 0.36) / 4)
    assert metrics["logloss"] == pytest.approx(-np.log([0.8, 0.9, 0.4, 0.4]).mean())
    assert metrics["pr_auc"] == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert metrics["f1_weighted"] == pytest.approx(0.5)
    assert metrics["base_rate"] == 0.5


def test_pinball_and_coverage_by_hand() -> None:
    metrics = quantile_metrics(np.array([1.0, 2.0]), np.array([2.0, 1.0]), 0.9)
    assert metrics == {"pinball": pytest.approx((0.1 + 0.9) / 2), "coverage": 0.5}


def test_one_class_has_no_metrics_and_blocks_by_name() -> None:
    ones = np.ones(5)
    metrics = {
        "oos": {"ai1": probability_metrics(ones, ones / 2, 0.5), "ai3": quantile_metrics(ones[:0], ones[:0], 0.9)},
        "cv": {"ai2": score_metrics(ones, ones)},
    }
    with pytest.raises(BlockedError) as raised:
        require_complete(metrics)
    assert raised.value.exit_code == 11
    for name in ("oos.ai1.auc", "oos.ai1.ece", "oos.ai3.pinball", "cv.ai2.f1_weighted"):
        assert name in raised.value.message
    require_complete({"oos": {"auc": 0.6, "bins": [{"count": 3}]}, "name": "x"})
    with pytest.raises(BlockedError, match=r"bins\[0\]\.low"):
        require_complete({"bins": [{"low": math.inf}]})


def test_calibration_is_monotone_flat_beyond_its_ends_and_true_to_the_rates() -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(0.0, 2.0, 20_000)
    labels = (rng.random(20_000) < 0.2 + 0.5 / (1 + np.exp(-scores))).astype(np.float64)
    isotonic = fit_isotonic(scores, labels)
    assert (np.diff(isotonic.y) >= 0).all()
    grid = isotonic.probability(np.array([-50.0, 0.0, 50.0]))
    assert grid[0] == isotonic.y[0]
    assert grid[2] == isotonic.y[-1]
    assert grid[1] == pytest.approx(0.45, abs=0.03)
