"""Thirty simulated pairs as the θ search sees them: bars, features, predictions, and every candidate priced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from core.backtest.candidates import Candidates, PairMarket, Predictions, build_candidates, pool_candidates
from core.backtest.daily_marks import daily_marks
from core.backtest.engine import Portfolio, Window
from core.backtest.legs import LegMarket
from core.config.settings import Settings
from core.features.batch import build_features
from core.labels.starts import find_starts
from core.market.costs import costs_of
from core.market.pairs import PairBars
from core.thresholds.objective import SearchData

PAIRS = 30
LEGS = ("GBPUSD", "AUDUSD")
HALF_LIFE, SPREAD_SD, MOVE_SD = 48.0, 3e-3, 1e-3


@dataclass(frozen=True)
class ThetaMarket:
    """Bars of each pair, and what θ is tried on."""

    bars: tuple[PairBars, ...]
    data: SearchData


def theta_market(bars: int, settings: Settings) -> ThetaMarket:
    """Pairs of `bars` hourly bars, every start a candidate at the costs of GBPUSD and AUDUSD.

    Probabilities and risks are drawn as calibrated models give them on hourly FX (half above 0.60, a tenth above 0.71,
    one in a hundred above 0.80; risk events follow one start in three): they decide how many starts a θ passes and
    nothing of what a position earns.
    """
    core, policy = settings.core_policy, settings.backtest_policy
    made = [_bars(bars, number) for number in range(PAIRS)]
    marks = daily_marks(int(made[0].ts[0]), int(made[0].ts[-1]) + 3600, policy.daily_mark)
    parts: list[Candidates] = []
    random = np.random.default_rng(7)
    for each in made:
        table = build_features(each, core.feature_windows)
        z = table.column("z")
        starts = find_starts(each, table, core.label, core.decision)
        size = starts.size
        predictions = Predictions(
            ts=each.ts[starts],
            z=z[starts],
            return_prob=np.clip(random.normal(0.60, 0.085, size), 0.0, 1.0),
            risk_score=np.clip(random.normal(0.34, 0.12, size), 0.0, 1.0),
            scale=random.uniform(0.1, 1.0, size),
            risk_event=random.integers(0, 2, size).astype(np.float64),
        )
        leg_a, leg_b = (_leg(settings, each, name, leg) for name, leg in zip(LEGS, "ab", strict=True))
        market = PairMarket(each, table, leg_a, leg_b)
        parts.append(
            build_candidates(
                market,
                predictions,
                marks,
                core.label,
                core.decision,
                stale_seconds=core.signal.stale_threshold_seconds,
            )
        )
    contracts = tuple((settings.universe.symbols[LEGS[0]], settings.universe.symbols[LEGS[1]]) for _ in made)
    return ThetaMarket(
        bars=tuple(made),
        data=SearchData(
            candidates=pool_candidates(parts),
            marks=marks,
            portfolio=Portfolio(policy.capital, core.decision.z_stop, contracts),
            window=Window(int(made[0].ts[0]), int(made[0].ts[-1]) + 3600),
            days_per_year=policy.daily_mark.days_per_year,
        ),
    )


def _bars(size: int, number: int) -> PairBars:
    """Two legs on one random walk, an Ornstein-Uhlenbeck spread between them; open = previous close."""
    random = np.random.default_rng(number)
    decay = 0.5 ** (1.0 / HALF_LIFE)
    noise = random.normal(0.0, SPREAD_SD * np.sqrt(1.0 - decay**2), size)
    spread = lfilter([1.0], [1.0, -decay], noise)
    walk = np.cumsum(random.normal(0.0, MOVE_SD, size))
    prices: dict[str, NDArray[np.float64]] = {}
    for leg, close in (("a", 1.25 * np.exp(walk + spread)), ("b", 0.65 * np.exp(walk))):
        opened = np.concatenate((close[:1], close[:-1]))
        prices |= {
            f"open_{leg}": opened,
            f"high_{leg}": np.maximum(opened, close) * 1.0003,
            f"low_{leg}": np.minimum(opened, close) * 0.9997,
            f"close_{leg}": close,
        }
    none = np.zeros(size, dtype=np.uint8)
    return PairBars(
        pair_id=f"P{number:02d}",
        timeframe_seconds=3600,
        ts=3600 * np.arange(size, dtype=np.int64),
        filled=none,
        spike=none,
        segment=np.zeros(size, dtype=np.int64),
        **prices,
    )


def _leg(settings: Settings, bars: PairBars, symbol: str, leg: str) -> LegMarket:
    opened, closed = getattr(bars, f"open_{leg}"), getattr(bars, f"close_{leg}")
    one = np.ones(opened.size)
    return LegMarket(
        symbol=settings.universe.symbols[symbol],
        costs=costs_of(settings.cost_table, symbol),
        open=opened,
        close=closed,
        usd_open=one,
        usd_close=one,
        usd_age=np.zeros(opened.size, dtype=np.int64),
    )
