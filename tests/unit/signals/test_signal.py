from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.config.core_policy import SignalPolicy
from core.signals.signal import Signal, make_signal, signal_id, signal_schema

SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "signal.schema.json"
POLICY = SignalPolicy(valid_bars=1, scan_bars=48, stale_threshold_seconds=7200)
BAR = int(datetime(2024, 3, 4, 10, tzinfo=UTC).timestamp())


def build(**changes: Any) -> Signal:
    given: dict[str, Any] = {
        "pair_id": "EURJPY-GBPJPY",
        "symbol_a": "EURJPY",
        "symbol_b": "GBPJPY",
        "bar_ts": BAR,
        "timeframe_seconds": 3600,
        "z": 2.5,
        "beta": 0.6,
        "return_prob": 0.74,
        "risk_score": 0.21,
        "theta1": 0.70,
        "theta2": 0.30,
        "position_scale": 0.8,
        "model_version": "20240304_1100_0a1b2c3d",
        "policy": POLICY,
        "metadata": {"timeframe": "1h"},
    }
    return make_signal(**{**given, **changes})


def test_a_stretched_spread_is_sold_beta_neutral() -> None:
    signal = build()
    assert [(leg.symbol, leg.side) for leg in signal.legs] == [("EURJPY", "sell"), ("GBPJPY", "buy")]
    assert [leg.beta_weight for leg in signal.legs] == pytest.approx([1 / 1.6, 0.6 / 1.6])
    assert signal.timestamp == datetime(2024, 3, 4, 11, tzinfo=UTC)
    assert signal.valid_until == datetime(2024, 3, 4, 12, tzinfo=UTC)
    assert signal.risk_flag is False


@pytest.mark.parametrize(
    ("z", "beta", "sides"),
    [(-2.5, 0.6, ["buy", "sell"]), (-2.5, -0.6, ["buy", "buy"]), (2.5, -0.6, ["sell", "sell"])],
)
def test_sides_follow_the_signs_of_z_and_beta(z: float, beta: float, sides: list[str]) -> None:
    assert [leg.side for leg in build(z=z, beta=beta).legs] == sides


def test_the_id_is_the_same_for_the_same_decision_only() -> None:
    assert build().id == build(return_prob=0.75).id == signal_id("EURJPY-GBPJPY", BAR, "20240304_1100_0a1b2c3d")
    others = {build(bar_ts=BAR + 3600).id, build(pair_id="A-B").id, build(model_version="x").id, build().id}
    assert len(others) == 4


def test_risk_flag_marks_a_risk_at_the_limit() -> None:
    assert build(risk_score=0.30).risk_flag is True


def test_json_is_canonical_and_reads_back() -> None:
    signal = build()
    content = signal.to_json()
    assert Signal.from_json(content) == signal
    assert Signal.from_json(content).to_json() == content
    assert list(orjson.loads(content)) == sorted(orjson.loads(content))
    assert orjson.loads(content)["timestamp"] == "2024-03-04T11:00:00Z"


@given(
    z=st.floats(-3.99, 3.99),
    beta=st.floats(-5, 5),
    return_prob=st.floats(0, 1),
    risk_score=st.floats(0, 1),
    position_scale=st.floats(0, 10),
)
def test_every_signal_satisfies_the_published_schema(**numbers: float) -> None:
    signal = build(**numbers)
    jsonschema.validate(orjson.loads(signal.to_json()), orjson.loads(SCHEMA.read_bytes()))
    assert Signal.from_json(signal.to_json()) == signal


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"z_score": float("nan")},
        {"z_score": "2.5"},
        {"risk_flag": True},
        {"legs": []},
        {"id": "short"},
        {"return_prob": 1.1},
        {"timestamp": datetime(2024, 3, 4, 11)},  # noqa: DTZ001 naive on purpose
        {"valid_until": datetime(2024, 3, 4, 11, tzinfo=UTC)},
        {"timestamp": datetime(2024, 3, 4, 11, tzinfo=UTC).astimezone(tz=None) - timedelta(hours=-20)},
    ],
)
def test_a_malformed_record_is_refused(changes: dict[str, Any]) -> None:
    content = {name: getattr(build(), name) for name in Signal.model_fields}
    Signal.model_validate(content)
    with pytest.raises(ValidationError):
        Signal.model_validate({**content, **changes})


def test_the_published_schema_is_the_generated_one() -> None:
    assert SCHEMA.read_bytes() == signal_schema(), "write core.signals.signal.signal_schema() to docs/schemas/"
