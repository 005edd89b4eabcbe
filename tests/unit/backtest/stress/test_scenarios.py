"""Each scenario on a few bars, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.backtest.candidates import build_candidates
from core.backtest.stress.atr_noise import AtrNoise
from core.backtest.stress.correlation_collapse import CorrelationCollapse
from core.backtest.stress.cost_increase import CostIncrease
from core.backtest.stress.displacement import Displacement, displace
from core.backtest.stress.draws import events, generator, grid_of
from core.backtest.stress.gap_events import GapEvents
from core.backtest.stress.latency import Latency
from core.backtest.stress.pair import StressedPair
from core.config import backtest_policy as policy
from core.labels.exits import ExitReason
from tests.unit.backtest.market import DECISION, HOUR, LABEL, costs, marks_of
from tests.unit.backtest.stress.market import LEAD, one_pair, stressed_book

CALM = DECISION.model_copy(update={"loss_limit": 1.0})


def exit_bar(z: list[float], close_a: list[float], *, lasting: bool, beta: float = 1.0) -> int:
    """The bar at whose close the exit of the start at bar 0 is decided; sd of the spread 0.01, z window 4 bars."""
    pair = one_pair(z, spread_sd=0.01, beta=beta)
    zero = np.zeros(len(close_a))
    stressed = displace(pair, Displacement((zero, np.array(close_a)), (zero, zero), lasting), 4)
    found = build_candidates(stressed.market, stressed.starts, marks_of(pair.market), LABEL, CALM, stale_seconds=HOUR)
    return int((found.exit_decided[0] - pair.ts[0]) // HOUR) - 1


def test_a_lasting_shift_is_taken_in_by_the_window_of_z() -> None:
    # A rises by 0.02 = 2 sds at bar 1. z of 0.9 is seen as 0.9 + 2 − 0.5·k after k bars: 2.4, 1.9, 1.4, 0.9 and 0.9
    # again once the window is full; 0.4 at bar 6 is what it is.
    z, shift = [2.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.4, 0.4, 0.4], [0.0, *[0.02] * 8]
    assert exit_bar(z, shift, lasting=True) == 6
    # the same z of 0.4 right after the shift is no reversion: 1.9, 1.4, 0.9, then 0.4
    assert exit_bar([2.5, *[0.4] * 8], shift, lasting=True) == 4
    # z of 2.6 becomes 4.1 at bar 1: the stop
    assert exit_bar([2.5, *[2.6] * 8], shift, lasting=True) == 1


def test_what_shifted_before_a_start_is_no_matter_to_it() -> None:
    assert exit_bar([2.5, *[0.4] * 8], [0.02] * 9, lasting=True) == 1


def test_a_fleeting_shift_is_gone_with_its_bar() -> None:
    # 0.4 is seen as 1.4 at bar 1, as itself at bar 2
    assert exit_bar([2.5, *[0.4] * 8], [0.0, 0.01, *[0.0] * 7], lasting=False) == 2


def test_leg_b_moves_the_spread_by_its_beta() -> None:
    # B rises by 0.04: the spread falls by 0.5 × 0.04 = 2 sds, less a quarter taken in: 1.9 is seen as 0.4
    pair = one_pair([2.5, 1.9, 1.9, 1.9, 1.9], spread_sd=0.01, beta=0.5)
    zero = np.zeros(5)
    stressed = displace(pair, Displacement((zero, zero), (zero, np.array([0.0, *[0.04] * 4])), True), 4)
    found = build_candidates(stressed.market, stressed.starts, marks_of(pair.market), LABEL, CALM, stale_seconds=HOUR)
    assert found.exit_decided[0] == pair.ts[1] + HOUR
    assert found.exit_price_a[0] == pytest.approx(1.1)


def test_the_frozen_path_reads_the_moved_closes_against_the_level_of_its_start() -> None:
    # path: frozen, β 1, level 0, sd 0.01; a = ln 1.1 + x, b = ln 1.1, so z* = x/0.01. x falls to 0.004 at bar 1;
    # moved by 0.02 after the start, it is 2.4 sds there and 0.4 only at bar 3.
    frozen = LABEL.model_copy(update={"ai1": LABEL.ai1.model_copy(update={"path": "frozen"})})
    x = np.array([0.025, 0.004, 0.004, -0.016, -0.02, -0.02])
    pair = one_pair((x / 0.01).tolist(), close_a=(1.1 * np.exp(x)).tolist(), open_b=1.1, close_b=1.1, spread_sd=0.01)
    zero = np.zeros(6)
    for before, decided in ((0.0, 3), (0.02, 1)):
        shift = np.array([before, *[0.02] * 5])
        stressed = displace(pair, Displacement((zero, shift), (zero, zero), True), 4)
        found = build_candidates(
            stressed.market, stressed.starts, marks_of(pair.market), frozen, CALM, stale_seconds=HOUR
        )
        assert found.exit_decided[0] == pair.ts[decided] + HOUR


def test_atr_noise_is_a_share_of_the_atr_known_before_the_bar() -> None:
    pair = one_pair([0.0] * 4, atr=0.002)
    draws = np.array([[1.0, -1.0, 0.5, 2.0], [0.0, 1.0, 0.0, -1.0]])
    noise = AtrNoise(policy.AtrNoise(atr_share=0.25, multiples=(1.0,)), 120, pair.ts, {"A": draws, "B": 0 * draws})
    stressed = noise.apply(pair, 2.0)
    assert noise.intensity(2.0) == 0.5
    # 0.5 × 0.002 × draw; before the first bar no ATR is known
    assert np.log(stressed.market.bars.open_a / 1.1).tolist() == pytest.approx([0.0, -0.001, 0.0005, 0.002])
    assert np.log(stressed.market.bars.close_a / 1.1).tolist() == pytest.approx([0.0, 0.001, 0.0, -0.001])
    assert stressed.market.bars.close_b.tolist() == pair.market.bars.close_b.tolist()


def test_a_collapse_mixes_a_legs_returns_with_noise_of_its_own() -> None:
    # k = 0.75: r becomes (r + 0.75·σ·ξ)/1.25. Leg B stands still, so σ = 0 and nothing happens to it.
    # Leg A returns +0.01, −0.01, … ; the sd of two such returns is √2·0.01. At bar 4 r = −0.01 and ξ = 1:
    # (−0.01 + 0.75·√2·0.01)/1.25 = 0.000485, which is 0.010485 more than r.
    log_a = np.array([0.0, 0.01, 0.0, 0.01, 0.0, 0.01])
    pair = one_pair([0.0] * 6, close_a=(1.1 * np.exp(log_a)).tolist())
    scenario = CorrelationCollapse(
        policy.CorrelationCollapse(episodes_per_year=1.0, episode_bars=1, noise_sd=0.75, multiples=(1.0,)),
        sd_window=2,
        z_window=120,
        grid=pair.ts,
        collapsed=np.array([False, False, False, False, True, False]),
        draws={"A": np.ones(6), "B": np.ones(6)},
    )
    stressed = scenario.apply(pair, 1.0)
    change = (-0.01 + 0.75 * np.sqrt(2.0) * 0.01) / 1.25 + 0.01
    shift = np.log(stressed.market.bars.close_a / pair.market.bars.close_a)
    # what happened within bar 4 is at its close, and stays
    assert shift.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0, change, change], abs=1e-12)
    opens = np.log(stressed.market.bars.open_a / pair.market.bars.open_a)
    assert opens.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.0, change], abs=1e-12)
    assert stressed.market.bars.close_b.tolist() == pair.market.bars.close_b.tolist()


def test_a_collapse_takes_the_correlation_and_leaves_the_volatility() -> None:
    book = stressed_book()
    pair = book.pairs[0]
    rng = np.random.default_rng(1)
    scenario = CorrelationCollapse(
        policy.CorrelationCollapse(episodes_per_year=1.0, episode_bars=1, noise_sd=1.0, multiples=(1.0,)),
        sd_window=LEAD,
        z_window=120,
        grid=pair.ts[pair.first :],
        collapsed=np.ones(pair.ts.size - pair.first, dtype=np.bool_),
        draws={leg: rng.standard_normal(pair.ts.size - pair.first) for leg in pair.symbols},
    )

    def legs(each: StressedPair) -> tuple[float, float]:
        a, b = np.diff(np.log(each.market.bars.close_a)), np.diff(np.log(each.market.bars.close_b))
        return float(np.corrcoef(a, b)[0, 1]), float(a.std())

    before, after = legs(pair), legs(scenario.apply(pair, 3.0))
    assert after[0] == pytest.approx(before[0] / 10.0, abs=0.06)
    assert after[1] == pytest.approx(before[1], rel=0.1)


def test_costs_are_multiplied_leg_by_leg_and_earned_swap_is_not() -> None:
    rates = {"commission_bp": 0.2, "slippage_bp": 0.1, "spread_bp": 1.0}
    dear = costs(**rates, swap_long_bp_per_night=-0.4, swap_short_bp_per_night=0.1)
    pair = one_pair([0.0] * 3, terms=(dear, costs(spread_bp=2.0)))
    stressed = CostIncrease(policy.CostIncrease(multiples=(2.0,))).apply(pair, 3.0).market
    assert stressed.leg_a.costs == dear.model_copy(
        update={
            "commission_bp": pytest.approx(0.6),
            "slippage_bp": pytest.approx(0.3),
            "spread_bp": 3.0,
            "swap_long_bp_per_night": pytest.approx(-1.2),
        }
    )
    assert stressed.leg_b.costs == costs(spread_bp=6.0)


def test_a_late_leg_fills_at_the_open_it_comes_to() -> None:
    # decided at bar 0 and, for the exit, at bar 3. Waits of 2 × (0.2, 0.6, 1.1, 0.0) bars: A enters 0 and exits 1 bar
    # late, B enters 2 late and exits in time.
    z = [2.5, 1.5, 1.4, 0.3, 0.2, 0.1]
    pair = one_pair(z, open_a=[1.1, 1.11, 1.1, 1.1, 1.2, 1.05], open_b=[1.3, 1.3, 1.3, 1.31, 1.33, 1.3])
    waits = np.array([[0.2], [0.6], [1.1], [0.0]])
    late = Latency(policy.Latency(bars=2.0, multiples=(1.0,)), {"A-B": waits}).apply(pair, 1.0)
    found = build_candidates(
        late.market, late.starts, marks_of(pair.market), LABEL, DECISION, stale_seconds=HOUR, delays=late.delays
    )
    assert (found.entry_price_a[0], found.exit_price_a[0]) == pytest.approx((1.11, 1.05))
    assert (found.entry_price_b[0], found.exit_price_b[0]) == pytest.approx((1.31, 1.33))
    assert (found.entry_ts[0], found.exit_ts[0]) == (pair.ts[1], pair.ts[5])
    # A was sold, B bought: 0.06 × 100,000 and 0.02 × 100,000 a lot
    assert (found.move_a[0], found.move_b[0]) == pytest.approx((6_000.0, 2_000.0))


def test_a_late_leg_is_marked_from_its_fill_to_its_exit() -> None:
    # Monday 20:00 UTC on; the marks are at 22:00 = 17:00 New York. A is held over Monday's mark, B not yet; at
    # Tuesday's mark A has been bought back at 1.08 for good and B stands at 1.33.
    n = 31
    z = [2.5, *[1.5] * 23, 0.3, *[0.2] * (n - 25)]
    pair = one_pair(
        z,
        start="2024-03-04T20",
        open_a=[1.1, 1.1, *[1.09] * 10, *[1.08] * (n - 12)],
        close_a=[1.1, 1.09, *[1.08] * (n - 2)],
        close_b=[1.3] * 5 + [1.33] * (n - 5),
    )
    waits = np.array([[0.0], [0.0], [4.0], [4.0]])
    late = Latency(policy.Latency(bars=1.0, multiples=(1.0,)), {"A-B": waits}).apply(pair, 1.0)
    found = build_candidates(
        late.market, late.starts, marks_of(pair.market), LABEL, DECISION, stale_seconds=HOUR, delays=late.delays
    )
    # the pair is busy from the first fill of a leg to the last
    assert (found.entry_ts[0], found.exit_ts[0]) == (pair.ts[1], pair.ts[29])
    assert found.mark_a.tolist() == pytest.approx([1_000.0, 2_000.0])
    assert found.mark_b.tolist() == pytest.approx([0.0, 3_000.0])


def test_an_exit_that_comes_before_its_entry_is_bought_and_sold_at_the_same_open() -> None:
    pair = one_pair([2.5, 0.3, 0.2, 0.1, 0.1, 0.1], terms=(costs(spread_bp=2.0), costs()))
    waits = np.array([[3.0], [0.0], [0.0], [0.0]])
    late = Latency(policy.Latency(bars=1.0, multiples=(1.0,)), {"A-B": waits}).apply(pair, 1.0)
    found = build_candidates(
        late.market, late.starts, marks_of(pair.market), LABEL, DECISION, stale_seconds=HOUR, delays=late.delays
    )
    assert found.move_a[0] == 0.0
    assert found.cost_a[0] == pytest.approx(22.0)


def test_a_gap_opens_against_the_position_and_stays() -> None:
    # A jumps before bar 2's open by 3 ATRs of 0.001, upwards because z stands at +1.5 at bar 1's close; B at bar 3,
    # downwards as β is positive.
    pair = one_pair([2.5, 1.5, 1.0, 0.3], atr=0.001)
    moments = {"A": pair.ts[2:3], "B": pair.ts[3:4]}
    gaps = GapEvents(policy.GapEvents(events_per_year=1.0, atr_multiple=3.0, multiples=(1.0,)), 120, moments)
    stressed = gaps.apply(pair, 1.0).market.bars
    assert np.log(stressed.open_a / 1.1).tolist() == pytest.approx([0.0, 0.0, 0.003, 0.003])
    assert np.log(stressed.close_a / 1.1).tolist() == pytest.approx([0.0, 0.0, 0.003, 0.003])
    assert np.log(stressed.open_b / 1.3).tolist() == pytest.approx([0.0, 0.0, 0.0, -0.003])
    # twice as much, and the other way for a short z and a negative β
    other = one_pair([-2.5, -1.5, -1.0, -0.3], atr=0.001, beta=-0.5)
    stressed = gaps.apply(other, 2.0).market.bars
    assert np.log(stressed.open_a / 1.1).tolist() == pytest.approx([0.0, 0.0, -0.006, -0.006])
    assert np.log(stressed.open_b / 1.3).tolist() == pytest.approx([0.0, 0.0, 0.0, -0.006])


def test_a_gap_through_the_stop_fills_at_the_open_after_it() -> None:
    # sd 0.002, z window 120: a jump of 0.006 lifts z from 2.6 by 3·119/120 to 5.6 at bar 2's close; out at bar 3's open
    pair = one_pair([2.5, 2.6, 2.6, 2.6, 2.6], atr=0.001, spread_sd=0.002)
    size = policy.GapEvents(events_per_year=1.0, atr_multiple=6.0, multiples=(1.0,))
    stressed = GapEvents(size, 120, {"A": pair.ts[2:3], "B": pair.ts[:0]}).apply(pair, 1.0)
    found = build_candidates(stressed.market, stressed.starts, marks_of(pair.market), LABEL, CALM, stale_seconds=HOUR)
    assert found.reason[0] == ExitReason.Z_STOP
    assert found.exit_ts[0] == pair.ts[3]
    # sold at 1.1, bought back 0.6 % higher, on the tick grid
    assert found.entry_price_a[0] == pytest.approx(1.1)
    assert found.exit_price_a[0] == pytest.approx(1.10662)


def test_a_symbol_is_moved_alike_in_every_pair_it_is_a_leg_of() -> None:
    pairs = [one_pair([0.0] * 400, atr=0.001), one_pair([0.0] * 400, atr=0.001)]
    pairs[1] = replace(pairs[1], symbols=("A", "C"))
    grid, symbols = grid_of(pairs), ("A", "B", "C")
    noise = AtrNoise.drawn(policy.AtrNoise(atr_share=0.25, multiples=(1.0,)), symbols, grid, 7, z_window=120)
    one, two = (noise.apply(pair, 1.0).market.bars for pair in pairs)
    assert one.close_a.tolist() == two.close_a.tolist()
    assert one.close_b.tolist() != two.close_b.tolist()
    gaps = policy.GapEvents(events_per_year=500.0, atr_multiple=3.0, multiples=(1.0,))
    drawn = GapEvents.drawn(gaps, symbols, grid, 7, z_window=120)
    assert drawn.moments["A"].size == round(500 * (grid[-1] - grid[0]) / (365.25 * 86_400))
    assert drawn.moments["B"].tolist() != drawn.moments["C"].tolist()


def test_draws_belong_to_seed_scenario_and_symbol() -> None:
    def draw(seed: int, scenario: str, symbol: str) -> float:
        return float(generator(seed, scenario, symbol).standard_normal())

    assert draw(1, "atr_noise", "A") == draw(1, "atr_noise", "A")
    assert (
        len({draw(1, "atr_noise", "A"), draw(2, "atr_noise", "A"), draw(1, "gap", "A"), draw(1, "atr_noise", "B")}) == 4
    )


@pytest.mark.parametrize(("count", "bars", "expected"), [(2.4, 100, 2), (0.1, 100, 1), (50.0, 3, 3), (1.0, 0, 0)])
def test_events_are_distinct_and_no_more_than_there_are_bars(count: float, bars: int, expected: int) -> None:
    found = events(np.random.default_rng(0), count, bars)
    assert found.size == np.unique(found).size == expected
