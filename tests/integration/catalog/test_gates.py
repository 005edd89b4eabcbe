"""Gates on frames good and bad, with the report a person opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import QualityError
from core.features.table import FEATURE_COLUMNS
from core.quality.suites import features_suite, predictions_suite
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


def _spoil(row: int, column: str, value: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{column: frame[column].where(frame.index != row, value)})


def test_good_frames_pass_and_leave_a_report(tmp_path: Path) -> None:
    features = run_gate("features", features_suite(CORE.feature_windows), _features(), tmp_path / "features")
    predictions = run_gate("predictions", predictions_suite(SCALE), _predictions(), tmp_path / "p")
    for report in (features, predictions):
        assert report.passed
        assert report.failed == []
        assert "<html" in report.report_path.read_text()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_spoil(1, "z", np.inf), "between(z): 1 of 4 values, e.g. [inf]"),
        (_spoil(1, "rsi_spread", 101.0), "between(rsi_spread)"),
        (_spoil(1, "half_life", 481.0), "between(half_life)"),
        (_spoil(1, "rho_rolling", -1.1), "between(rho_rolling)"),
        (_spoil(1, "beta", np.nan), "not_be_null(beta)"),
        (lambda frame: frame.assign(ts=HOURS[0]), "unique(pair_id, ts): 4 of 4"),
        (lambda frame: frame.drop(columns="speed"), "speed"),
    ],
)
def test_bad_features_fail_by_name(tmp_path: Path, spoil: Callable[[pd.DataFrame], pd.DataFrame], named: str) -> None:
    with pytest.raises(QualityError) as caught:
        run_gate("features", features_suite(CORE.feature_windows), spoil(_features()), tmp_path / "gate")
    assert named in str(caught.value)
    assert caught.value.exit_code == 10
    assert Path(caught.value.where) == tmp_path / "gate" / "index.html"


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_spoil(1, "return_prob", 1.01), "between(return_prob)"),
        (_spoil(1, "risk_score", np.nan), "not_be_null(risk_score)"),
        (_spoil(1, "ai1", 0.5), "in_set(ai1)"),
        (lambda frame: frame.iloc[:0], "row_count"),
    ],
)
def test_bad_predictions_fail_by_name(
    tmp_path: Path, spoil: Callable[[pd.DataFrame], pd.DataFrame], named: str
) -> None:
    with pytest.raises(QualityError) as caught:
        run_gate("predictions", predictions_suite(SCALE), spoil(_predictions()), tmp_path / "gate")
    assert named in str(caught.value)


def test_a_gate_run_again_keeps_only_the_new_report(tmp_path: Path) -> None:
    suite = predictions_suite(SCALE)
    with pytest.raises(QualityError):
        run_gate("predictions", suite, _predictions().iloc[:0], tmp_path / "gate")
    assert run_gate("predictions", suite, _predictions(), tmp_path / "gate").passed
    assert len(list((tmp_path / "gate" / "validations").rglob("*.html"))) == 1
