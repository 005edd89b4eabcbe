"""Signals for tests."""

from __future__ import annotations

from core.config.core_policy import SignalPolicy
from core.signals.signal import Signal, make_signal

BAR = 1_704_067_200
POLICY = SignalPolicy(valid_bars=1, scan_bars=480, stale_threshold_seconds=7200)


def a_signal(bar: int = 0, pair_id: str = "EURJPY-GBPJPY") -> Signal:
    return make_signal(
        pair_id=pair_id,
        symbol_a="EURJPY",
        symbol_b="GBPJPY",
        bar_ts=BAR + bar * 3600,
        timeframe_seconds=3600,
        z=2.5,
        beta=0.8,
        return_prob=0.75,
        risk_score=0.2,
        theta1=0.7,
        theta2=0.3,
        position_scale=0.5,
        model_version="20240101_0000_0000abcd",
        policy=POLICY,
        metadata={},
    )
