"""The numbers a report works out itself: intervals, money by band, the split of costs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market.costs import costs_of
from core.report.costs import cost_parts
from core.report.intervals import clustered_mean, money_bands, returns_bp, wilson
from core.report.material import Material
from tests.unit.report.judged import LOT_USD


def test_wilson_by_hand() -> None:
    # Wilson (1927), p = 0.4, n = 10, z = 1.96: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)
    z, n, p = 1.959963984540054, 10, 0.4
    middle = p + z * z / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = wilson(4, 10)
    assert low == pytest.approx((middle - reach) / (1 + z * z / n), abs=1e-12)
    assert high == pytest.approx((middle + reach) / (1 + z * z / n), abs=1e-12)


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilson_holds_the_share_and_stays_within_0_and_1(ones: int, more: int) -> None:
    low, high = wilson(ones, ones + more)
    assert 0.0 <= low <= high <= 1.0
    if ones + more:
        assert low - 1e-12 <= ones / (ones + more) <= high + 1e-12


def test_a_clustered_interval_by_hand() -> None:
    # deviations −1, −1, 1, 1 in two clusters: sums −2 and 2; variance (4 + 4)/16 · 2/1 = 1; t(0.975, 1) = 12.706
    mean, half = clustered_mean(np.array([0.0, 0.0, 2.0, 2.0]), np.array([5, 5, 9, 9]))
    assert mean == 1.0
    assert half == pytest.approx(12.706204736, rel=1e-9)
    assert math.isnan(clustered_mean(np.array([1.0, 2.0]), np.array([3, 3]))[1])


def test_clusters_of_one_give_the_ordinary_interval_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=50)
    _, half = clustered_mean(values, np.arange(50))
    ordinary = values.std(ddof=1) / math.sqrt(50) * 2.0095752371  # t(0.975, 49)
    assert half == pytest.approx(ordinary, rel=1e-7)


def test_a_start_s_result_by_hand() -> None:
    # half the gross in each leg, a lot of 100,000 USD: 1 USD a lot is 0.5 · 1/100,000 of the gross, 0.05 bp
    candidate = pd.DataFrame(
        [{"weight_a": 0.5, "weight_b": -0.5, "lot_usd_a": 1e5, "lot_usd_b": 1e5, "move_a": 60.0, "move_b": -20.0}]
    ).assign(cost_a=8.0, cost_b=6.0, swap_a=1.0, swap_b=-3.0)
    gross, net = returns_bp(candidate)
    assert gross[0] == pytest.approx(2.0)  # 0.05 · 40
    assert net[0] == pytest.approx(1.4)  # 0.05 · (40 − 14 + 2)


def test_bands_hold_every_start_once_in_rising_score(material: Material) -> None:
    bands = money_bands(material.candidates, "return_prob")
    assert len(bands) == 10
    assert sum(band.count for band in bands) == len(material.candidates)
    assert all(left.high <= right.low for left, right in itertools.pairwise(bands))
    gross, net = returns_bp(material.candidates)
    assert np.average([b.net for b in bands], weights=[b.count for b in bands]) == pytest.approx(net.mean())
    assert all(band.gross > band.net for band in bands)
    assert gross.mean() > net.mean()


def test_costs_split_by_hand_and_add_up(material: Material) -> None:
    trades = cost_parts(material, material.trades_of("adoption"))
    assert len(trades) == len(material.trades_of("adoption"))
    pair = next(each for each in material.universe.pairs if each.id == trades["pair_id"].iloc[0])
    rates = [costs_of(material.cost_table, leg).commission_bp for leg in (pair.a, pair.b)]
    # five lots a leg, bought and sold at the same price: two fills of 5 · 100,000 USD in each leg
    by_hand = sum(rate * 1e-4 * 2 * 5 * LOT_USD for rate in rates)
    assert trades["commission_usd"].iloc[0] == pytest.approx(by_hand)
    assert (trades["spread_usd"] + trades["commission_usd"]).to_numpy() == pytest.approx(trades["cost_usd"].to_numpy())
    left = trades["move_usd"] - trades["spread_usd"] - trades["commission_usd"] - trades["swap_usd"]
    assert left.to_numpy() == pytest.approx(trades["pnl_usd"].to_numpy())
