"""Seeded draws, the same for a symbol in every pair it is a leg of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from core.backtest.stress.pair import StressedPair
from core.market.pairs import Ints

_YEAR = 365.25 * 86400


def generator(seed: int, scenario: str, subject: str) -> np.random.Generator:
    """A generator of its own for each scenario and subject (a symbol, or a symbol of a pair)."""
    key = hashlib.sha256(f"{scenario}/{subject}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(key[:8], "big")])


def grid_of(pairs: Iterable[StressedPair]) -> Ints:
    """Opens of all bars of all pairs, each once, from the first that may be stressed on (int64, sorted)."""
    return np.unique(np.concatenate([pair.ts[pair.first :] for pair in pairs]))


def years_of(grid: Ints) -> float:
    """The grid's length in Julian years."""
    return float(grid[-1] - grid[0]) / _YEAR if grid.size else 0.0


def events(rng: np.random.Generator, count: float, bars: int) -> Ints:
    """Distinct grid positions of `count` events, rounded, at least one where there is a bar; sorted."""
    wanted = min(bars, max(1, round(count)))
    return np.sort(rng.choice(bars, size=wanted, replace=False)).astype(np.int64)
