"""The signal of a decision that passes."""

from __future__ import annotations

from core.config.settings import Settings
from core.market.timeframe import timeframe_seconds
from core.signals.signal import Signal, make_signal
from tasks.decisions import DecisionRules, Passed


def decided_signal(
    settings: Settings, rules: DecisionRules, passed: Passed, *, model_version: str, run_id: str
) -> Signal:
    """The signal of `passed`; its metadata name the run whose bars it was decided on, so that it can be replayed."""
    (pair,) = (pair for pair in settings.universe.pairs if pair.id == passed.pair_id)
    timeframe = settings.pipeline_policy.timeframe_default
    return make_signal(
        pair_id=pair.id,
        symbol_a=pair.a,
        symbol_b=pair.b,
        bar_ts=passed.ts,
        timeframe_seconds=timeframe_seconds(timeframe),
        z=passed.z,
        beta=passed.beta,
        return_prob=passed.return_prob,
        risk_score=passed.risk_score,
        theta1=rules.theta1,
        theta2=rules.theta2,
        position_scale=passed.position_scale,
        model_version=model_version,
        policy=settings.core_policy.signal,
        metadata={
            "timeframe": timeframe,
            "bar_ts": passed.ts,
            "excursion": passed.excursion,
            "beta": passed.beta,
            "run_id": run_id,
        },
    )
