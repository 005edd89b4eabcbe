"""A replayed decision for a person to read."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.signals.signal import Signal
from core.stores.partition import iso
from tasks.examination import Examination
from tasks.recorded_signal import RecordedSignal
from tasks.table import print_table


@dataclass(frozen=True)
class Replay:
    """A decision replayed from its bars; `signal` is the one it gives, None where it does not pass."""

    model_version: str
    run_id: str
    theta1: float
    theta2: float
    examination: Examination
    signal: Signal | None


def print_explanation(
    replayed: Replay, recorded: RecordedSignal | None, *, same: bool, differing: Sequence[str]
) -> None:
    """Print bar, features, scores, conditions, position and the comparison with the record."""
    examination = replayed.examination
    head = [("pair", examination.pair_id), ("bar (open)", iso(examination.ts))]
    head += [("model", replayed.model_version), ("bars of run", replayed.run_id)]
    head += [("θ1, θ2", f"{replayed.theta1!r}, {replayed.theta2!r}")]
    head += [("recorded in", recorded.found_in)] if recorded is not None else []
    _section(head)
    seen = examination.scaled
    features = [(name, _number(value), _number(seen.get(name))) for name, value in examination.features.items()]
    _section([("feature", "value", "as the models see it"), *features])
    _section(_score_rows(replayed))
    held = [
        (each.name, _number(each.observed), each.asked, "yes" if each.holds else "NO")
        for each in examination.conditions
    ]
    _section([("condition", "observed", "asked for", "holds"), *held])
    _section(_position_rows(replayed))
    if recorded is not None:
        _section(_comparison_rows(replayed, recorded, same=same, differing=differing))


def _score_rows(replayed: Replay) -> list[tuple[str, ...]]:
    scores = replayed.examination.scores
    if scores is None:
        return [("no scores: a row with a feature that has no value is never predicted",)]
    return [
        ("model", "raw score", "calibrated", ""),
        ("AI1", _number(scores.ai1), _number(scores.return_prob), "return_prob"),
        ("AI2", _number(scores.ai2), _number(scores.risk_score), "risk_score"),
        ("AI3", _number(scores.ai3), _number(scores.excursion), "excursion, share of gross"),
        ("", "", _number(scores.position_scale), "position scale"),
    ]


def _position_rows(replayed: Replay) -> list[tuple[str, ...]]:
    signal = replayed.signal
    if signal is None:
        return [("decision", "no position: a condition does not hold")]
    legs = [(f"  {leg.side}", f"{leg.symbol}, weight {leg.beta_weight!r}") for leg in signal.legs]
    return [("decision", f"a position of scale {signal.position_scale!r}"), *legs, ("signal", signal.id)]


def _comparison_rows(
    replayed: Replay, recorded: RecordedSignal, *, same: bool, differing: Sequence[str]
) -> list[tuple[str, ...]]:
    if same:
        return [("the replayed signal equals the recorded one byte for byte",)]
    if replayed.signal is None:
        return [("DIFFERENT: a signal is recorded, and the replayed decision does not pass",)]
    old, new = recorded.signal.model_dump(mode="json"), replayed.signal.model_dump(mode="json")
    rows = [(name, _text(old[name]), _text(new[name])) for name in differing]
    return [("DIFFERENT", "recorded", "replayed"), *(rows or [("bytes", "not as they are written", "")])]


def _section(rows: Sequence[tuple[str, ...]]) -> None:
    print_table(rows)
    sys.stdout.write("\n")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if math.isfinite(value) else "no value"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
