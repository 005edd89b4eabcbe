"""The newest decision of a deployed model over stored bars, each bar taken in as a live process would take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config.core_policy import Decision, FeatureWindows, Label, PositionScale
from core.features.live import LiveFeatures, cut_bars
from core.features.schema import FeatureSchema
from core.labels.starts import find_starts
from core.market.pairs import PairBars
from core.models.artifact import load_classifier, load_quantile
from core.models.fitting import FittedModels
from core.models.live_predictor import LivePredictor
from core.signals.decision import passes
from core.signals.sizing import position_scale
from core.stores.bundle_store import Bundle
from core.stores.tree_export import live_models


@dataclass(frozen=True)
class DecisionRules:
    """What decides, as the bundle's params.yaml fixed it when the model was judged."""

    theta1: float
    theta2: float
    label: Label
    decision: Decision
    scale: PositionScale

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> DecisionRules:
        """From params.yaml."""
        return cls(
            theta1=params["theta1"],
            theta2=params["theta2"],
            label=Label.model_validate(params["label"]),
            decision=Decision.model_validate(params["decision"]),
            scale=PositionScale.model_validate(params["position_scale"]),
        )


@dataclass(frozen=True)
class Passed:
    """A start that passes. `ts` is the decision bar's open in epoch seconds UTC."""

    pair_id: str
    ts: int
    z: float
    beta: float
    return_prob: float
    risk_score: float
    excursion: float
    position_scale: float


class DeployedDecision:
    """The models and rules of a verified bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises InputError when a verified file is not of a format this code reads."""
        schema = FeatureSchema.from_json(bundle.read("feature_schema.json"))
        self.models = FittedModels(
            ai1=load_classifier(bundle.read("model_ai1.pkl")),
            ai2=load_classifier(bundle.read("model_ai2.pkl")),
            ai3=load_quantile(bundle.read("model_ai3.pkl")),
            scalers=schema.scalers,
        )
        self.rules = DecisionRules.of(bundle.params)
        self.windows = FeatureWindows.model_validate(schema.definition["windows"])
        self.columns = schema.model_inputs
        self.predictor = LivePredictor(live_models(self.models), self.columns)

    def newest(self, bars: PairBars, scan_bars: int) -> Passed | None:
        """The newest of the last `scan_bars` bars whose decision passes, None where none does."""
        rules = self.rules
        first = max(len(bars) - scan_bars, 0)
        live = LiveFeatures(self.windows)
        live.take(cut_bars(bars, 0, first))
        recent = cut_bars(bars, first, len(bars))
        table = live.take(recent)
        starts = find_starts(recent, table, rules.label, rules.decision)
        if starts.size == 0:
            return None
        z = table.column("z")[starts]
        rows = np.column_stack([table.column(name)[starts] for name in self.columns])
        predicted = self.predictor.predict_rows(rows, z)
        passed = passes(predicted.return_prob, predicted.risk_score, rules.theta1, rules.theta2, z, rules.decision)
        if not passed.any():
            return None
        at = int(np.flatnonzero(passed)[-1])
        return Passed(
            pair_id=bars.pair_id,
            ts=int(recent.ts[starts[at]]),
            z=float(z[at]),
            beta=float(table.column("beta")[starts[at]]),
            return_prob=float(predicted.return_prob[at]),
            risk_score=float(predicted.risk_score[at]),
            excursion=float(predicted.excursion[at]),
            position_scale=float(position_scale(predicted.excursion[at], rules.scale)),
        )


def known_bars(bars: PairBars, as_of: int) -> PairBars:
    """The bars of a pair that have closed at `as_of` (epoch seconds UTC)."""
    return cut_bars(bars, 0, int(np.searchsorted(bars.ts, as_of - bars.timeframe_seconds, side="right")))
