"""The simulated market is what its configuration says, faults included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from core.config.sources import Simulator
from core.errors import InputError
from core.market.bars import epoch_seconds, validate_raw_bars
from core.market.calendar import Hole, expected_bars, find_holes, session_ids
from core.market.pairs import Floats
from core.market.simulator.market import SimulatedMarket, simulate, simulate_market
from core.market.simulator.paths import simulate_spread
from core.market.universe import calendar_of
from tests.unit.market.examples import HOUR, at, settings, simulator

UNIVERSE = settings("dev").universe
QUIET = dict.fromkeys(
    (
        "bad_ticks_per_year",
        "jumps_per_year",
        "gaps_per_year",
        "long_gaps_per_year",
        "regime_breaks_per_year",
    ),
    0.0,
) | {"regime_break_bars": 120}


def _changed(**changes: Any) -> Simulator:
    return Simulator.model_validate(simulator().model_dump() | changes)


def _with_half_life(bars: float, **changes: Any) -> Simulator:
    pairs = tuple(pair.model_dump() | {"half_life_bars": bars} for pair in simulator().pairs)
    return _changed(pairs=pairs, **changes)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    busy = {
        "bad_ticks_per_year": 8.0,
        "jumps_per_year": 4.0,
        "gaps_per_year": 10.0,
        "long_gaps_per_year": 2.0,
        "regime_breaks_per_year": 2.0,
        "regime_break_bars": 120,
    }
    return simulate_market(_changed(faults=busy), UNIVERSE, HOUR)


def _bytes(bars: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    return {
        symbol: epoch_seconds(frame["ts"]).tobytes() + frame.drop(columns="ts").to_numpy().tobytes()
        for symbol, frame in bars.items()
    }


@limits(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.sampled_from([HOUR, 4 * HOUR, 900]))
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(seed: int, months: int, timeframe: int) -> None:
    config = _changed(seed=seed, months=months)
    first = _bytes(simulate(config, UNIVERSE, timeframe))
    assert first == _bytes(simulate(config, UNIVERSE, timeframe))
    assert first != _bytes(simulate(_changed(seed=seed + 1, months=months), UNIVERSE, timeframe))


def test_the_shipped_market_is_long_and_wide_enough() -> None:
    bars = simulate(simulator(), UNIVERSE, HOUR)
    assert sorted(bars) == sorted(UNIVERSE.symbols)
    for symbol, frame in bars.items():
        ts = epoch_seconds(frame["ts"])
        assert (ts[0], ts[-1]) == (at("2021-01-03T22:00"), at("2024-01-31T23:00")), symbol
        assert 19_000 < ts.size < 19_300


def test_bars_are_valid_and_inside_the_calendar(market: SimulatedMarket) -> None:
    for symbol, frame in market.bars.items():
        validate_raw_bars(frame, symbol, HOUR)
        assert frame["volume"].min() >= 1.0
        assert np.all(session_ids(calendar_of(UNIVERSE, symbol), HOUR, epoch_seconds(frame["ts"])) >= 0)
        tick = UNIVERSE.symbols[symbol].tick_size
        ticks = frame["close"].to_numpy() / tick
        assert np.allclose(ticks, np.rint(ticks), atol=1e-6)


def test_prices_stay_realistic() -> None:
    config = _changed(faults=QUIET)
    for frame in simulate(config, UNIVERSE, HOUR).values():
        close = frame["close"].to_numpy()
        assert 0.3 < close.min() / close[0] < close.max() / close[0] < 3.0
        log_range = np.log(frame["high"].to_numpy() / frame["low"].to_numpy())
        assert 1.0 < log_range.mean() / np.abs(np.diff(np.log(close))).mean() < 3.0


def _spreads(config: Simulator) -> list[Floats]:
    bars = simulate(config, UNIVERSE, HOUR)
    return [
        np.log(bars[pair.a]["close"].to_numpy()) - pair.beta * np.log(bars[pair.b]["close"].to_numpy())
        for pair in config.pairs
    ]


def _reversion(spread: Floats) -> tuple[float, float]:
    """Slope of Δs on s and its t statistic (Dickey-Fuller with a constant)."""
    level, change = spread[:-1] - spread[:-1].mean(), np.diff(spread)
    slope = float(level @ change / (level @ level))
    residual = change - change.mean() - slope * level
    error = np.sqrt(residual @ residual / (level.size - 2) / (level @ level))
    return slope, slope / float(error)


@pytest.mark.parametrize("half_life", [30.0, 55.0, 90.0])
def test_the_spread_has_the_half_life_and_sd_it_was_given(half_life: float) -> None:
    config = _with_half_life(half_life, faults=QUIET)
    spreads = _spreads(config)
    slopes = [_reversion(spread)[0] for spread in spreads]
    assert -np.log(2.0) / np.log(1.0 + np.mean(slopes)) == pytest.approx(half_life, rel=0.15)
    ratio = [spread.std() * 1e4 / pair.spread_sd_bp for spread, pair in zip(spreads, config.pairs, strict=True)]
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.1)


def test_the_market_without_an_edge_has_a_unit_root_and_the_other_has_none() -> None:
    no_edge = [_reversion(spread)[1] for spread in _spreads(_with_half_life(0.0, faults=QUIET))]
    edge = [_reversion(spread)[1] for spread in _spreads(_with_half_life(55.0, faults=QUIET))]
    critical = -2.86
    assert np.median(no_edge) > critical
    assert sum(statistic < critical for statistic in no_edge) <= 1
    assert max(edge) < 2.0 * critical


def test_with_and_without_an_edge_bars_move_alike() -> None:
    moves = [np.mean([np.diff(s).std() for s in _spreads(_with_half_life(h, faults=QUIET))]) for h in (0.0, 55.0)]
    assert moves[0] == pytest.approx(moves[1], rel=0.02)


def _legs(config: Simulator) -> list[tuple[Floats, Floats]]:
    """Log returns of both legs of every pair, a column a bar."""
    bars = simulate(config, UNIVERSE, HOUR)
    return [
        (np.diff(np.log(bars[pair.a]["close"].to_numpy())), np.diff(np.log(bars[pair.b]["close"].to_numpy())))
        for pair in config.pairs
    ]


def _pairs(**changes: float) -> tuple[dict[str, Any], ...]:
    return tuple(pair.model_dump() | changes for pair in simulator().pairs)


def _kurtosis(values: Floats) -> float:
    centred = values - values.mean()
    return float(np.mean(centred**4) / np.mean(centred**2) ** 2)


def test_without_beta_and_reversion_the_legs_are_independent_walks() -> None:
    alone = _legs(_changed(pairs=_pairs(beta=0.0, half_life_bars=0.0, spread_sd_bp=63.0), faults=QUIET))
    together = _legs(_changed(pairs=_pairs(half_life_bars=0.0), faults=QUIET))
    assert max(abs(np.corrcoef(a, b)[0, 1]) for a, b in alone) < 0.04
    assert min(np.corrcoef(a, b)[0, 1] for a, b in together) > 0.8
    assert np.mean([a.std() for a, _ in alone]) == pytest.approx(10e-4, rel=0.05)


def test_student_t_shocks_have_fat_tails_and_the_same_variance() -> None:
    calm = {"volatility_clustering": 0.0, "faults": QUIET}
    normal, heavy = (_legs(_changed(shock_degrees_of_freedom=nu, **calm)) for nu in (0.0, 5.0))
    assert np.median([_kurtosis(b) for _, b in normal]) == pytest.approx(3.0, abs=0.15)
    assert np.median([_kurtosis(b) for _, b in heavy]) > 5.0
    assert np.mean([b.std() for _, b in heavy]) == pytest.approx(np.mean([b.std() for _, b in normal]), rel=0.02)


def test_the_volatility_of_the_spread_clusters() -> None:
    def clustering(strength: float) -> float:
        config = _with_half_life(0.0, spread_volatility_clustering=strength, faults=QUIET)
        sizes = [np.abs(np.diff(spread)) for spread in _spreads(config)]
        return float(np.mean([np.corrcoef(size[1:], size[:-1])[0, 1] for size in sizes]))

    assert clustering(0.0) < 0.02
    assert clustering(0.7) > 0.15


def test_a_trend_moves_both_legs_and_leaves_the_spread_alone() -> None:
    trending = _changed(trend_bp_per_bar=1.0, trend_bars=500, faults=QUIET)
    still = _changed(faults=QUIET)
    moves = [np.mean([np.abs(np.diff(b.cumsum()[::200])).mean() for _, b in _legs(each)]) for each in (trending, still)]
    assert moves[0] > 1.2 * moves[1]
    for with_trend, without in zip(_spreads(trending), _spreads(still), strict=True):
        assert np.corrcoef(np.diff(with_trend), np.diff(without))[0, 1] > 0.95  # prices are whole ticks


def test_from_the_day_the_cointegration_ends_the_spread_is_a_random_walk() -> None:
    bars = {
        day: simulate(_changed(cointegration_ends=day, faults=QUIET), UNIVERSE, HOUR) for day in ("never", "2023-02-01")
    }
    end = at("2023-02-01T00:00")
    wandered = []
    for pair in simulator().pairs:
        frames = {day: found[pair.a] for day, found in bars.items()}
        before = epoch_seconds(frames["never"]["ts"]) < end
        assert frames["never"][before].equals(frames["2023-02-01"][before])
        b = np.log(bars["never"][pair.b]["close"].to_numpy())
        spread = np.log(frames["2023-02-01"]["close"].to_numpy()) - pair.beta * b
        wandered.append(abs(spread[-1] - spread[before][-1]) / (pair.spread_sd_bp * 1e-4))
    assert np.mean(wandered) > 4.0


def test_shocks_without_a_variance_are_refused() -> None:
    with pytest.raises(ValueError, match="above 2 degrees"):
        _changed(shock_degrees_of_freedom=2.0)


def test_gaps_are_exactly_the_planted_ones(market: SimulatedMarket) -> None:
    kinds = {fault.kind for fault in market.faults}
    assert kinds == {"bad_tick", "jump", "gap", "long_gap", "regime_break"}
    for symbol, frame in market.bars.items():
        chosen = calendar_of(UNIVERSE, symbol)
        expected = expected_bars(chosen, HOUR, at("2021-01-01T00:00"), at("2024-02-01T00:00"))
        planted = [f for f in market.faults if f.symbols == (symbol,) and f.kind in {"gap", "long_gap"}]
        holes = find_holes(expected, epoch_seconds(frame["ts"]), chosen.edge_tolerance_bars)
        assert holes == [Hole(fault.first, fault.bars) for fault in planted]
        assert all((fault.bars <= 2) == (fault.kind == "gap") for fault in planted)


def _closes_around(market: SimulatedMarket, symbol: str, first: int) -> tuple[float, float, float, float]:
    """Log closes before, at and after the bar opening at `first`, and the sd of the 480 changes before it."""
    frame = market.bars[symbol]
    index = int(np.searchsorted(epoch_seconds(frame["ts"]), first))
    close = np.log(frame["close"].to_numpy())
    return close[index - 1], close[index], close[index + 1], float(np.diff(close[index - 481 : index]).std())


def test_a_bad_tick_comes_back_and_a_jump_stays(market: SimulatedMarket) -> None:
    ticks = [fault for fault in market.faults if fault.kind == "bad_tick"]
    jumps = [fault for fault in market.faults if fault.kind == "jump"]
    assert min(len(ticks), len(jumps)) > 50
    for fault in ticks:
        before, now, after, _ = _closes_around(market, fault.symbols[0], fault.first)
        assert abs(now - before) > 0.01
        assert abs(after - before) < 0.5 * abs(now - before)
    for fault in jumps:
        for symbol in fault.symbols:
            before, now, after, _ = _closes_around(market, symbol, fault.first)
            assert abs(now - before) > 0.005
            assert abs(after - before) > 0.5 * abs(now - before)


def test_a_regime_break_moves_the_level_the_spread_reverts_to() -> None:
    breaking = QUIET | {"regime_breaks_per_year": 4.0}
    levels = {
        name: np.mean([np.abs(spread[:2000].mean() - spread[-2000:].mean()) for spread in _spreads(_changed(faults=f))])
        for name, f in (("quiet", QUIET), ("breaking", breaking))
    }
    assert levels["breaking"] > 3.0 * levels["quiet"]


def test_in_a_regime_break_the_spread_wanders_freely_and_then_reverts_to_where_it_arrived() -> None:
    phi, step, bars = 0.95, 0.001, 200
    breaks = np.arange(500, 400_000, 1000, dtype=np.int64)
    spread = simulate_spread(phi, step, np.random.default_rng(3).standard_normal(400_000), breaks, bars, 400_000)
    wandered = spread[breaks + bars - 1] - spread[breaks - 1]
    assert wandered.std() == pytest.approx(step * np.sqrt(bars), rel=0.1)
    settled = np.array([spread[first + bars + 200 : first + 1000].mean() for first in breaks])
    assert np.abs(settled - spread[breaks + bars - 1]).mean() < 0.1 * np.abs(wandered).mean()


def test_switching_faults_off_leaves_the_other_bars_as_they_were(market: SimulatedMarket) -> None:
    faults = simulator().faults.model_dump() | {"bad_ticks_per_year": 0.0}
    with_ticks, without = simulate(simulator(), UNIVERSE, HOUR), simulate(_changed(faults=faults), UNIVERSE, HOUR)
    for symbol, frame in with_ticks.items():
        both = frame.merge(without[symbol], on="ts", suffixes=("", "_without"))
        assert len(both) > 0.99 * len(frame)
        assert (both["close"] != both["close_without"]).sum() < 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": "NONE"}, "is not in universe.yaml"),
        ({"a": "BAYUSD"}, "used twice"),
    ],
)
def test_pairs_that_cannot_be_simulated_are_refused(change: dict[str, str], message: str) -> None:
    pairs = tuple(pair.model_dump() for pair in simulator().pairs)
    with pytest.raises(InputError, match=message):
        simulate(_changed(pairs=(pairs[0] | change, *pairs[1:])), UNIVERSE, HOUR)


def test_legs_with_different_calendars_are_refused() -> None:
    other = UNIVERSE.calendars["simulated"].model_copy(update={"edge_tolerance_bars": 1})
    symbols = dict(UNIVERSE.symbols)
    symbols["ALDUSD"] = symbols["ALDUSD"].model_copy(update={"calendar": "other"})
    changed = UNIVERSE.model_copy(update={"calendars": {**UNIVERSE.calendars, "other": other}, "symbols": symbols})
    with pytest.raises(InputError, match="different calendars"):
        simulate(simulator(), changed, HOUR)
