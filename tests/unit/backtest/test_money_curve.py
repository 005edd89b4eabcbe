"""What a band of probabilities has earned, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.backtest.money_curve import money_curve, net_returns
from tests.unit.backtest.market import costs, pair_market, starts_of


def test_the_net_return_of_one_start_by_hand() -> None:
    # z = +2.5, β = 1: half short A, half long B, each worth 1 a unit at the decision. A falls 1.1000 -> 1.0890 (earns
    # 100 bp of its leg), B stays. Commission 1 bp of each fill: A pays 1 + 0.99, B pays 2. Net of gross:
    # (100 − 1.99)/2 − 2/2 = 48.005 bp.
    terms = costs(commission_bp=1.0)
    market = pair_market([2.5, 1.5, 0.3, 0.2], open_a=[1.1, 1.1, 1.1, 1.089], terms=(terms, terms))
    assert 1e4 * net_returns(starts_of(market)) == pytest.approx([48.005])


def test_bands_hold_equally_many_starts_in_rising_probability() -> None:
    z = [2.5, 0.0] * 20
    opens = 1.1 + 0.001 * np.arange(40)
    candidates = starts_of(pair_market(z, open_a=opens.tolist(), close_a=1.1))
    shuffled = np.random.default_rng(0).permutation(len(candidates)) / len(candidates)
    curve = money_curve(replace(candidates, return_prob=shuffled))
    assert [band["count"] for band in curve] == [2] * 10
    assert [band["low"] for band in curve] == sorted(band["low"] for band in curve)
    net = net_returns(candidates)[np.argsort(shuffled)]
    assert [band["net_bp"] for band in curve] == pytest.approx((1e4 * net.reshape(10, 2).mean(axis=1)).tolist())


def test_few_starts_make_few_bands() -> None:
    candidates = starts_of(pair_market([2.5, 0.0, 2.5, 0.0]))
    assert [band["count"] for band in money_curve(candidates)] == [1] * len(candidates)
