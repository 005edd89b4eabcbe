"""Everything a deployed model makes of one bar, down to each condition of its decision (SPEC SRV-2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.features.live import LiveFeatures, cut_bars
from core.features.table import FEATURE_COLUMNS
from core.labels.starts import find_starts
from core.market.pairs import PairBars
from core.models.predictor import Predictor
from core.signals.decision import passes
from core.signals.sizing import position_scale
from tasks.decisions import DeployedDecision, Passed


@dataclass(frozen=True)
class Condition:
    """One condition of a decision: what was observed, what is asked for, and whether it holds."""

    name: str
    observed: float
    asked: str
    holds: bool


@dataclass(frozen=True)
class Scores:
    """Raw scores and what they are calibrated to.

    AI1's and AI2's raw scores are log-odds, AI3's is the share of gross before it is cut at 0.
    """

    ai1: float
    ai2: float
    ai3: float
    return_prob: float
    risk_score: float
    excursion: float
    position_scale: float


@dataclass(frozen=True)
class Examination:
    """One bar of one pair. `ts` is the bar's open in epoch seconds UTC; everything is known at its close.

    `scaled` are the inputs as the models see them; `scores` is None where a feature has no value, as such a row is
    never predicted. `passed` is the decision that passes, None where it does not.
    """

    pair_id: str
    ts: int
    features: dict[str, float]
    scaled: dict[str, float]
    scores: Scores | None
    conditions: tuple[Condition, ...]
    passed: Passed | None


def examine(decision: DeployedDecision, bars: PairBars) -> Examination:
    """The last bar of `bars`, with all bars before it as history."""
    rules = decision.rules
    table = LiveFeatures(decision.windows).take(bars)
    last = len(bars) - 1
    features = {name: float(table.column(name)[last]) for name in FEATURE_COLUMNS}
    held = (float(column[last]) for column in (table.alpha, table.spread_mean, table.spread_sd))
    gaps = sum(not math.isfinite(value) for value in (*features.values(), *held))
    z, speed = features["z"], features["speed"]
    first_leg, second = rules.label.ai1, rules.decision
    conditions = [
        Condition("features without a value", gaps, "0", gaps == 0),
        Condition("legs filled", float(bars.filled[last]), "0", bars.filled[last] == 0),
        Condition("legs spiked", float(bars.spike[last]), "0", bars.spike[last] == 0),
        Condition("|z|", abs(z), f"≥ {first_leg.z_entry:g}", abs(z) >= first_leg.z_entry),
        Condition("speed", speed, f"≤ {first_leg.speed_max:g}", speed <= first_leg.speed_max),
        Condition("|z|", abs(z), f"< {second.z_stop:g}", abs(z) < second.z_stop),
    ]
    started = find_starts(bars, table, rules.label, rules.decision)
    is_start = bool(started.size) and int(started[-1]) == last
    scaled, scores = _scores(decision, features) if gaps == 0 else ({}, None)
    if scores is not None:
        theta1, theta2 = rules.theta1, rules.theta2
        conditions += [
            Condition("return_prob", scores.return_prob, f"> θ1 {theta1:g}", scores.return_prob > theta1),
            Condition("risk_score", scores.risk_score, f"< θ2 {theta2:g}", scores.risk_score < theta2),
        ]
    passed = None
    if is_start and scores is not None:
        taken = passes(scores.return_prob, scores.risk_score, rules.theta1, rules.theta2, z, rules.decision)
        passed = _passed(bars, features, scores) if bool(taken) else None
    return Examination(bars.pair_id, int(bars.ts[last]), features, scaled, scores, tuple(conditions), passed)


def bars_until(bars: PairBars, ts: int) -> PairBars | None:
    """The bars up to the one that opens at `ts`, None where none does."""
    place = int(np.searchsorted(bars.ts, ts))
    if place == len(bars) or int(bars.ts[place]) != ts:
        return None
    return cut_bars(bars, 0, place + 1)


def _scores(decision: DeployedDecision, features: dict[str, float]) -> tuple[dict[str, float], Scores]:
    row = np.array([features[name] for name in decision.columns])
    judged = Predictor(decision.models, decision.columns)
    scaled = judged.scaled(row[np.newaxis], np.array([features["z"]]))
    return_prob, risk_score, excursion = decision.predictor.predict(row, features["z"])
    ai1, ai2, ai3 = (float(raw[0]) for raw in judged.scores(scaled))
    scores = Scores(
        ai1=ai1,
        ai2=ai2,
        ai3=ai3,
        return_prob=return_prob,
        risk_score=risk_score,
        excursion=excursion,
        position_scale=float(position_scale(excursion, decision.rules.scale)),
    )
    return dict(zip(decision.columns, scaled[0].tolist(), strict=True)), scores


def _passed(bars: PairBars, features: dict[str, float], scores: Scores) -> Passed:
    return Passed(
        pair_id=bars.pair_id,
        ts=int(bars.ts[-1]),
        z=features["z"],
        beta=features["beta"],
        return_prob=scores.return_prob,
        risk_score=scores.risk_score,
        excursion=scores.excursion,
        position_scale=scores.position_scale,
    )
