"""Gates on frames good and bad, with the report a person opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import QualityError
from core.features.table import FEATURE_COLUMNS
from core.quality.suites import Suite, features_suite, predictions_suite
from core.stores.gate_reports import run_gate
from tests.unit.market.examples import settings

CORE = settings("prod").core_policy
SCALE = CORE.position_scale
HOURS = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC")


def _features() -> pd.DataFrame:
    values = pd.DataFrame({name: np.linspace(0.1, 0.9, 4) for name in FEATURE_COLUMNS})
    values["atr_ratio"] += 1.0
    values["half_life"] += 1.0
    return values.assign(pair_id="A-B", ts=HOURS)


def _predictions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "pair_id": "A-B",
            "ts": HOURS,
            "step": "2024-01",
            "z": [2.1, -2.2, 3.0, -3.9],
            "return_prob": [0.0, 0.5, 0.7, 1.0],
            "risk_score": [1.0, 0.5, 0.3, 0.0],
            "excursion": [0.01, 0.02, 0.03, 0.0],
            "position_scale": [SCALE.maximum, SCALE.minimum, SCALE.maximum, SCALE.minimum],
            "ai1": [1.0, 0.0, 1.0, np.nan],
            "ai2": [0.0, 0.0, 1.0, np.nan],
            "ai3": [0.01, 0.02, 0.0, np.nan],
        }
    )


def test_good_frames_pass_and_leave_a_report(tmp_path: Path) -> None:
    features = run_gate("features", features_suite(CORE.feature_windows), _features(), tmp_path / "features")
    predictions = run_gate("predictions", predictions_suite(SCALE), _predictions(), tmp_path / "p")
    for report in (features, predictions):
        assert report.passed
        assert report.failed == []
        page = report.report_path.read_text(encoding="utf-8")
        assert "values must never be null" in page
        assert "Succeeded" in page


def test_a_report_needs_no_network(tmp_path: Path) -> None:
    frame = _predictions()
    _spoil(frame, 1, "return_prob", 1.01)
    with pytest.raises(QualityError):
        run_gate("predictions", predictions_suite(SCALE), frame, tmp_path / "gate")
    page = (tmp_path / "gate" / "index.html").read_text(encoding="utf-8")
    assert "Failed" in page
    assert "1.01" in page, "the value that broke the gate is shown"
    assert "http" not in page
    assert "<script" not in page
    assert "onclick" not in page


def _spoil(frame: pd.DataFrame, row: int, column: str, value: float) -> None:
    frame[column] = frame[column].where(frame.index != row, value)


def _failure(tmp_path: Path, suite: Suite, frame: pd.DataFrame) -> QualityError:
    with pytest.raises(QualityError) as caught:
        run_gate("gate", suite, frame, tmp_path / "gate")
    assert Path(caught.value.where) == tmp_path / "gate" / "index.html"
    return caught.value


def test_bad_features_fail_by_name(tmp_path: Path) -> None:
    frame = _features().assign(ts=HOURS[0]).drop(columns="speed")
    _spoil(frame, 1, "z", np.inf)
    _spoil(frame, 1, "rsi_spread", 101.0)
    _spoil(frame, 2, "half_life", CORE.feature_windows.half_life_max + 1.0)
    _spoil(frame, 1, "rho_rolling", -1.1)
    _spoil(frame, 1, "beta", np.nan)
    failure = _failure(tmp_path, features_suite(CORE.feature_windows), frame)
    for named in (
        "between(z): 1 of 4 values, e.g. [inf]",
        "between(rsi_spread): 1 of 4",
        "between(half_life): 1 of 4",
        "between(rho_rolling): 1 of 4",
        "not_be_null(beta): 1 of 4",
        "unique(pair_id, ts): 4 of 4",
        "not_be_null(speed)",
    ):
        assert named in failure.message
    assert failure.exit_code == 10
    assert failure.message.count("; ") == 7  # the eighth is the range of speed


def test_bad_predictions_fail_by_name(tmp_path: Path) -> None:
    frame = _predictions()
    _spoil(frame, 1, "return_prob", 1.01)
    _spoil(frame, 1, "risk_score", np.nan)
    _spoil(frame, 1, "ai1", 0.5)
    failure = _failure(tmp_path, predictions_suite(SCALE), frame)
    for named in ("between(return_prob)", "not_be_null(risk_score)", "in_set(ai1)"):
        assert named in failure.message
    assert failure.message.count("; ") == 2


def test_a_gate_run_again_keeps_only_the_new_report(tmp_path: Path) -> None:
    suite = predictions_suite(SCALE)
    with pytest.raises(QualityError):
        run_gate("predictions", suite, _predictions().iloc[:0], tmp_path / "gate")
    assert run_gate("predictions", suite, _predictions(), tmp_path / "gate").passed
    assert [path.name for path in (tmp_path / "gate").rglob("*.html")] == ["index.html"]
