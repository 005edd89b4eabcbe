"""Close-to-close log price paths of a simulated pair, before any fault of measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit

from core.config.sources import SimulatedPair
from core.market.pairs import Floats, Ints

_BP: Final = 1e-4
_VOLATILITY_PERSISTENCE: Final = 0.97
_STEP_HALF_LIFE: Final = 55.0


@dataclass(frozen=True)
class PairPath:
    """Log closes and volatilities (sd of a bar's log return) of both legs, float64 (n,)."""

    log_a: Floats
    log_b: Floats
    sigma_a: Floats
    sigma_b: Floats


def clustered_volatility(mean: float, clustering: float, shocks: Floats) -> Floats:
    """Log-normal volatility, float64 (n,), of mean `mean`; its logarithm is an AR(1) with sd `clustering`."""
    state = _autoregression(shocks, _VOLATILITY_PERSISTENCE, float(np.sqrt(1.0 - _VOLATILITY_PERSISTENCE**2)))
    return np.asarray(mean * np.exp(clustering * state - 0.5 * clustering**2), dtype=np.float64)


def spread_step(pair: SimulatedPair) -> tuple[float, float]:
    """(φ, sd of a step) of s_t = φ·s_{t−1} + step, from the pair's half-life in bars and stationary sd."""
    phi = 0.5 ** (1.0 / pair.half_life_bars) if pair.half_life_bars > 0.0 else 1.0
    reverting = 0.5 ** (1.0 / (pair.half_life_bars or _STEP_HALF_LIFE))
    return phi, pair.spread_sd_bp * _BP * float(np.sqrt(1.0 - reverting**2))


def simulate_spread(phi: float, step_sd: float, shocks: Floats, breaks: Ints, break_bars: int, end: int) -> Floats:
    """Mean-reverting spread, float64 (n,), starting in its stationary distribution (at 0 when φ = 1).

    From each bar in `breaks` (sorted) it is a random walk for `break_bars` bars; where it then stands is its new mean.
    From bar `end` on it is a random walk for good.
    """
    start = shocks[0] * step_sd / np.sqrt(1.0 - phi**2) if phi < 1.0 else 0.0
    resumes = breaks + break_bars
    return np.asarray(_spread(phi, float(start), step_sd * shocks, breaks, resumes, end), dtype=np.float64)


def trend_steps(size: float, turn_draws: Floats, sign_draws: Floats, mean_bars: int) -> Floats:
    """Drift a bar, float64 (n,): `size` with a sign drawn anew at each turn, `mean_bars` apart on average."""
    turns = turn_draws < 1.0 / mean_bars
    turns[0] = True
    signs = np.where(sign_draws < 0.5, -1.0, 1.0)
    return np.asarray(size * signs[turns][np.cumsum(turns) - 1], dtype=np.float64)


def simulate_pair(
    pair: SimulatedPair, sigma_b: Floats, walk_shocks: Floats, spread: Floats, spread_sigma: Floats, moves: Floats
) -> PairPath:
    """Put the legs together: ln b walks, ln a = ln price_a + β·(ln b − ln price_b) + spread.

    `spread_sigma` (n,) is the sd of the spread's steps. `moves` (n,) are log moves of leg B on top of its walk that
    stay; leg A makes β times each.
    """
    steps = sigma_b * walk_shocks + moves
    steps[0] = 0.0
    moved = np.cumsum(steps)
    return PairPath(
        log_a=np.log(pair.price_a) + pair.beta * moved + spread,
        log_b=np.log(pair.price_b) + moved,
        sigma_a=np.sqrt((pair.beta * sigma_b) ** 2 + spread_sigma**2),
        sigma_b=sigma_b,
    )


@njit(cache=True, error_model="numpy")
def _autoregression(shocks: Floats, phi: float, scale: float) -> Floats:
    out = np.empty_like(shocks)
    state = shocks[0]
    out[0] = state
    for t in range(1, shocks.size):
        state = phi * state + scale * shocks[t]
        out[t] = state
    return out


@njit(cache=True, error_model="numpy")
def _spread(phi: float, start: float, steps: Floats, breaks: Ints, resumes: Ints, end: int) -> Floats:
    out = np.empty_like(steps)
    level, mean, upcoming, ending = start, 0.0, 0, 0
    out[0] = level
    for t in range(1, steps.size):
        if upcoming < breaks.size and breaks[upcoming] == t:
            upcoming += 1
        if ending < resumes.size and resumes[ending] == t:
            ending += 1
            mean = level
        reverting = 1.0 if upcoming > ending or t >= end else phi
        level = mean + reverting * (level - mean) + steps[t]
        out[t] = level
    return out
