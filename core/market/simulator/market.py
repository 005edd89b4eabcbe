"""The whole simulated market: raw bars of every symbol and the faults planted in them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from core.config.sources import SimulatedPair, Simulator
from core.config.universe import Universe
from core.errors import InputError
from core.market.bars import raw_bars
from core.market.calendar import ExpectedBars, expected_bars
from core.market.pairs import Floats, Ints
from core.market.simulator.candles import candles, plant_bad_ticks, volumes
from core.market.simulator.faults import LegFaults, PlantedFault, draw_events, draw_leg_faults, signed_size
from core.market.simulator.paths import (
    PairPath,
    clustered_volatility,
    simulate_pair,
    simulate_spread,
    spread_step,
    trend_steps,
)
from core.market.simulator.streams import Draws, Stream

_YEAR_SECONDS: Final = 31_557_600
_BP: Final = 1e-4
_EVENT_SPACING: Final = 24
_JUMP_SIGMAS: Final = (12.0, 20.0)
_BAD_TICK_SIGMAS: Final = (20.0, 40.0)


@dataclass(frozen=True)
class SimulatedMarket:
    """Raw bars (RAW_COLUMNS) by symbol and the faults planted in them, in order of time."""

    bars: dict[str, pd.DataFrame]
    faults: tuple[PlantedFault, ...]


def simulate(config: Simulator, universe: Universe, timeframe_seconds: int) -> dict[str, pd.DataFrame]:
    """Raw bars (RAW_COLUMNS) by symbol; the same arguments give the same bytes. See `simulate_market`."""
    return simulate_market(config, universe, timeframe_seconds).bars


def simulate_market(config: Simulator, universe: Universe, timeframe_seconds: int) -> SimulatedMarket:
    """Simulate every pair of `config` inside its legs' calendar.

    Raises InputError when a symbol is unknown or used twice, or when the legs of a pair have different calendars.
    """
    _check_symbols(config, universe)
    start, end = _period(config)
    bars: dict[str, pd.DataFrame] = {}
    faults: list[PlantedFault] = []
    for number, pair in enumerate(config.pairs):
        calendar = universe.calendars[universe.symbols[pair.a].calendar]
        expected = expected_bars(calendar, timeframe_seconds, start, end)
        bars_per_year = len(expected) * _YEAR_SECONDS / (end - start)
        path, jumps, pair_faults = _pair_path(config, number, expected, bars_per_year)
        faults += pair_faults
        legs = ((1, pair.a, path.log_a, path.sigma_a), (2, pair.b, path.log_b, path.sigma_b))
        for leg, symbol, log_close, sigma in legs:
            draws = Draws(config.seed, number, leg, len(expected))
            edge = calendar.edge_tolerance_bars
            leg_faults = draw_leg_faults(draws, config.faults, expected, jumps, bars_per_year=bars_per_year, edge=edge)
            tick_size = universe.symbols[symbol].tick_size
            bars[symbol] = _leg_bars(draws, log_close, sigma, leg_faults, expected, tick_size=tick_size)
            faults += _planted(symbol, leg_faults, expected)
    return SimulatedMarket(bars, tuple(sorted(faults, key=lambda fault: (fault.first, fault.symbols, fault.kind))))


def _pair_path(
    config: Simulator, number: int, expected: ExpectedBars, bars_per_year: float
) -> tuple[PairPath, Ints, list[PlantedFault]]:
    pair, rates = config.pairs[number], config.faults
    draws = Draws(config.seed, number, 0, len(expected))
    spacing = rates.regime_break_bars + _EVENT_SPACING
    break_rate, jump_rate = rates.regime_breaks_per_year / bars_per_year, rates.jumps_per_year / bars_per_year
    breaks = draw_events(draws.uniform(Stream.REGIME_BREAK), break_rate, spacing)
    jumps = draw_events(draws.uniform(Stream.JUMP), jump_rate, _EVENT_SPACING)
    mean_volatility = config.volatility_bp_per_bar * _BP
    sigma_b = clustered_volatility(mean_volatility, config.volatility_clustering, draws.normal(Stream.VOLATILITY))
    spread, spread_sigma = _spread(config, pair, draws, expected, breaks)
    turns, signs = draws.uniform(Stream.TREND_TURN), draws.uniform(Stream.TREND_SIGN)
    moves = trend_steps(config.trend_bp_per_bar * _BP, turns, signs, config.trend_bars)
    jump_sizes = signed_size(draws.uniform(Stream.JUMP_SIZE)[jumps], *_JUMP_SIGMAS)
    moves[jumps] += jump_sizes * np.median(sigma_b)
    walk_shocks = draws.shocks(Stream.WALK, Stream.WALK_TAIL, config.shock_degrees_of_freedom)
    path = simulate_pair(pair, sigma_b, walk_shocks, spread, spread_sigma, moves)
    legs, opens = (pair.a, pair.b), expected.opens
    faults = [PlantedFault("regime_break", legs, int(opens[at]), rates.regime_break_bars) for at in breaks]
    faults += [PlantedFault("jump", legs, int(opens[at]), 1) for at in jumps]
    return path, jumps, faults


def _spread(
    config: Simulator, pair: SimulatedPair, draws: Draws, expected: ExpectedBars, breaks: Ints
) -> tuple[Floats, Floats]:
    """The pair's spread and the sd of its steps, float64 (n,) each."""
    phi, step_sd = spread_step(pair)
    shocks = draws.shocks(Stream.SPREAD, Stream.SPREAD_TAIL, config.shock_degrees_of_freedom)
    relative = clustered_volatility(1.0, config.spread_volatility_clustering, draws.normal(Stream.SPREAD_VOLATILITY))
    end = len(expected)
    if config.cointegration_ends != "never":
        end = int(np.searchsorted(expected.opens, _midnight(datetime.date.fromisoformat(config.cointegration_ends))))
    spread = simulate_spread(phi, step_sd, relative * shocks, breaks, config.faults.regime_break_bars, end)
    return spread, step_sd * relative


def _leg_bars(
    draws: Draws, log_close: Floats, sigma: Floats, faults: LegFaults, expected: ExpectedBars, *, tick_size: float
) -> pd.DataFrame:
    extremes = draws.uniform(Stream.HIGH), draws.uniform(Stream.LOW)
    ohlc = candles(log_close, sigma, draws.normal(Stream.OPEN), extremes, tick_size)
    at = faults.bad_ticks
    sizes = signed_size(draws.uniform(Stream.BAD_TICK_SIZE)[at], *_BAD_TICK_SIGMAS)
    plant_bad_ticks(ohlc, at, sizes * np.median(sigma), tick_size)
    kept = np.ones(len(expected), dtype=np.bool_)
    for first, count in (*faults.gaps, *faults.long_gaps):
        kept[first : first + count] = False
    volume = volumes(sigma, draws.normal(Stream.VOLUME))
    return raw_bars(expected.opens[kept], ohlc[kept], volume[kept])


def _planted(symbol: str, faults: LegFaults, expected: ExpectedBars) -> Iterator[PlantedFault]:
    for at in faults.bad_ticks:
        yield PlantedFault("bad_tick", (symbol,), int(expected.opens[at]), 1)
    for first, count in faults.gaps:
        yield PlantedFault("gap", (symbol,), int(expected.opens[first]), count)
    for first, count in faults.long_gaps:
        yield PlantedFault("long_gap", (symbol,), int(expected.opens[first]), count)


def _period(config: Simulator) -> tuple[int, int]:
    first = datetime.date.fromisoformat(config.start)
    years, month = divmod(first.month - 1 + config.months, 12)
    last = first.replace(year=first.year + years, month=month + 1)
    return _midnight(first), _midnight(last)


def _midnight(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def _check_symbols(config: Simulator, universe: Universe) -> None:
    seen: set[str] = set()
    for pair in config.pairs:
        for symbol in (pair.a, pair.b):
            if symbol not in universe.symbols:
                raise _unusable(pair, f"symbol {symbol} is not in universe.yaml")
            if symbol in seen:
                raise _unusable(pair, f"symbol {symbol} is used twice; simulated pairs share no leg")
            seen.add(symbol)
        if universe.symbols[pair.a].calendar != universe.symbols[pair.b].calendar:
            raise _unusable(pair, "its legs have different calendars")


def _unusable(pair: SimulatedPair, message: str) -> InputError:
    return InputError(
        "MARKET_SIMULATOR_PAIR",
        message,
        where=f"sources.yaml, simulated pair {pair.a}/{pair.b}",
        remedy="mend the simulator's pairs or universe.yaml",
    )
