"""A smaller run of `python -m bench.feature_parity`, which shows the same on a million simulated and all real bars."""

from __future__ import annotations

import numpy as np
import pytest

from bench import feature_parity
from bench.feature_parity import differing_bars, simulated_history
from core.config.core_policy import FeatureWindows
from core.features.batch import build_features
from core.features.live import cut_bars
from core.features.table import FeatureTable
from core.market.pairs import PairBars
from tests.unit.features.bars import policy_windows, real_bars


def test_streaming_equals_batch_on_a_simulated_history() -> None:
    assert differing_bars(simulated_history(12_000, seed=1), policy_windows(), restart_bars=1_000) == 0


def test_streaming_equals_batch_on_real_bars() -> None:
    bars = real_bars("XAUUSD", "AUDUSD")
    assert differing_bars(cut_bars(bars, 20_000, 30_000), policy_windows(), restart_bars=1_000) == 0


def test_one_bit_in_one_feature_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def nudged(bars: PairBars, windows: FeatureWindows) -> FeatureTable:
        table = build_features(bars, windows)
        table.values[900, 3] = np.nextafter(table.values[900, 3], np.inf)
        return table

    monkeypatch.setattr(feature_parity, "build_features", nudged)
    assert differing_bars(simulated_history(1_000, seed=1), policy_windows()) == 1
