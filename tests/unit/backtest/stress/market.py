"""A market with an edge, small enough to be stressed in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.backtest.candidates import Candidates, Predictions, build_candidates, pool_candidates
from core.backtest.engine import Window
from core.backtest.stress.pair import StressedPair, pair_from
from core.backtest.stress.run import StressedBook
from core.config.cost_table import Costs
from tests.unit.backtest.market import DECISION, HOUR, LABEL, costs, marks_of, pair_market, portfolio_of

LEAD = 20
TERMS = costs(spread_bp=1.0, slippage_bp=0.1, commission_bp=0.2, swap_long_bp_per_night=-0.1)


def stressed_book(**changes: Any) -> StressedBook:
    """The book of `book_and_candidates`."""
    return book_and_candidates(**changes)[0]


def book_and_candidates(
    *,
    seed: int = 0,
    days: int = 120,
    terms: Costs = TERMS,
    return_prob: float = 0.9,
    names: Sequence[str] = ("A-B", "C-D"),
) -> tuple[StressedBook, Candidates]:
    """Two pairs whose spread comes back, and all their candidates; the window is the second half of the bars."""
    rng = np.random.default_rng(seed)
    n = 24 * days
    markets, parts = [], []
    for name in names:
        spread = np.zeros(n)
        for i in range(1, n):
            spread[i] = 0.95 * spread[i - 1] + rng.normal(0.0, 0.31)
        walk = np.cumsum(rng.normal(0.0, 1e-3, n))
        close_a, close_b = 1.1 * np.exp(walk + 1.5e-3 * spread), 1.3 * np.exp(walk)
        market = pair_market(
            spread.tolist(),
            pair_id=name,
            open_a=np.append(1.1, close_a[:-1]).tolist(),
            close_a=close_a.tolist(),
            open_b=np.append(1.3, close_b[:-1]).tolist(),
            close_b=close_b.tolist(),
            terms=(terms, terms),
            spread_sd=1.5e-3,
            atr=1.5e-3,
        )
        at = np.flatnonzero(np.abs(spread) >= 2.0)
        predictions = Predictions(
            ts=market.bars.ts[at],
            z=spread[at],
            return_prob=np.full(at.size, return_prob),
            risk_score=np.full(at.size, 0.1),
            scale=np.ones(at.size),
            risk_event=np.zeros(at.size),
        )
        parts.append(build_candidates(market, predictions, marks_of(market), LABEL, DECISION, stale_seconds=HOUR))
        markets.append(market)
    start = int(markets[0].bars.ts[n // 2])
    candidates = pool_candidates(parts)
    book = StressedBook(
        pairs=[
            pair_from(market, (market.bars.pair_id[0], market.bars.pair_id[2]), candidates, start, LEAD)
            for market in markets
        ],
        marks=marks_of(markets[0]),
        portfolio=portfolio_of(*markets),
        window=Window(start, int(markets[0].bars.ts[-1]) + HOUR),
        theta1=0.7,
        theta2=0.3,
    )
    return book, candidates


def one_pair(z: Sequence[float], **changes: object) -> StressedPair:
    """One pair from its first bar on, every bar with |z| ≥ 2 a start."""
    market = pair_market(z, **changes)  # type: ignore[arg-type]
    at = np.flatnonzero(np.abs(np.asarray(z)) >= 2.0)
    starts = Predictions(
        ts=market.bars.ts[at],
        z=np.asarray(z, dtype=np.float64)[at],
        return_prob=np.full(at.size, 0.9),
        risk_score=np.full(at.size, 0.1),
        scale=np.ones(at.size),
        risk_event=np.zeros(at.size),
    )
    return StressedPair(("A", "B"), market, starts, None, 0)
