"""The Signal record: what an executing system receives (SPEC SRV-3)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from core.config.core_policy import SignalPolicy

SignalId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Label = Annotated[str, StringConstraints(min_length=1)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]

_WEIGHT_TOLERANCE = 1e-9


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Leg(_Record):
    """One leg of a β-neutral position."""

    symbol: Label
    side: Literal["buy", "sell"]
    beta_weight: Annotated[float, Field(ge=0.0, le=1.0, description="share of the position's gross; legs add up to 1")]


class Signal(_Record):
    """A decision to open a position, valid until `valid_until`."""

    id: Annotated[SignalId, Field(description="hash of pair, bar time and model version: a repeat is recognised")]
    timestamp: Annotated[AwareDatetime, Field(description="UTC; close of the bar the decision was taken at")]
    pair_id: Label
    legs: Annotated[tuple[Leg, Leg], Field(description="leg A, leg B")]
    z_score: float
    return_prob: Probability
    risk_score: Probability
    theta1: Probability
    theta2: Probability
    risk_flag: Annotated[bool, Field(description="risk_score ≥ theta2")]
    position_scale: Annotated[float, Field(ge=0.0)]
    model_version: Label
    valid_until: Annotated[AwareDatetime, Field(description="UTC; nothing is delivered after it")]
    metadata: dict[str, str | int | float | bool]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, stamp in (("timestamp", self.timestamp), ("valid_until", self.valid_until)):
            if stamp.utcoffset() != timedelta(0):
                raise ValueError(f"{name} must be UTC")
        if self.valid_until <= self.timestamp:
            raise ValueError("valid_until must be after timestamp")
        if abs(self.legs[0].beta_weight + self.legs[1].beta_weight - 1.0) > _WEIGHT_TOLERANCE:
            raise ValueError("the legs' beta_weight must add up to 1")
        if self.risk_flag != (self.risk_score >= self.theta2):
            raise ValueError("risk_flag must say whether risk_score ≥ theta2")
        return self

    def to_json(self) -> bytes:
        """Canonical UTF-8 JSON: keys sorted, no blanks, times as RFC 3339 with Z. Equal signals give equal bytes."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote. Raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json(data)


def signal_id(pair_id: str, bar_ts: int, model_version: str) -> str:
    """Deterministic id: first 32 hex digits of sha256 over pair, bar open (epoch seconds UTC) and model version."""
    return hashlib.sha256(orjson.dumps([pair_id, bar_ts, model_version])).hexdigest()[:32]


def make_signal(
    *,
    pair_id: str,
    symbol_a: str,
    symbol_b: str,
    bar_ts: int,
    timeframe_seconds: int,
    z: float,
    beta: float,
    return_prob: float,
    risk_score: float,
    theta1: float,
    theta2: float,
    position_scale: float,
    model_version: str,
    policy: SignalPolicy,
    metadata: dict[str, str | int | float | bool],
) -> Signal:
    """The signal of a start at the bar opening at `bar_ts` (epoch seconds UTC).

    The position's sign is −sign(z) on the spread ln A − β·ln B; weights are 1/(1+|β|) and |β|/(1+|β|)
    (FORMULAS "Position at t"). It is valid for `policy.valid_bars` bars from the bar's close.

    Raises:
        pydantic.ValidationError: a number is not finite or out of range.
    """
    side = 1.0 if z < 0.0 else -1.0
    gross = 1.0 + abs(beta)
    closed = datetime.fromtimestamp(bar_ts + timeframe_seconds, UTC)
    return Signal(
        id=signal_id(pair_id, bar_ts, model_version),
        timestamp=closed,
        pair_id=pair_id,
        legs=(
            Leg(symbol=symbol_a, side="buy" if side > 0.0 else "sell", beta_weight=1.0 / gross),
            Leg(symbol=symbol_b, side="buy" if side * beta < 0.0 else "sell", beta_weight=abs(beta) / gross),
        ),
        z_score=z,
        return_prob=return_prob,
        risk_score=risk_score,
        theta1=theta1,
        theta2=theta2,
        risk_flag=risk_score >= theta2,
        position_scale=position_scale,
        model_version=model_version,
        valid_until=closed + timedelta(seconds=policy.valid_bars * timeframe_seconds),
        metadata=metadata,
    )


def signal_schema() -> bytes:
    """The published JSON Schema, as the bytes of docs/schemas/signal.schema.json."""
    schema = Signal.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
