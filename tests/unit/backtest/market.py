"""Small markets written out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from core.backtest.candidates import Candidates, Delays, PairMarket, Predictions, build_candidates
from core.backtest.daily_marks import DailyMarks, daily_marks
from core.backtest.engine import Portfolio
from core.backtest.legs import LegMarket
from core.config.backtest_policy import Capital, DailyMark
from core.config.core_policy import Ai1Label, Ai2Label, Ai3Label, Decision, Label
from core.config.cost_table import Costs
from core.config.universe import Symbol
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars

NEW_YORK_CLOSE = DailyMark(timezone="America/New_York", time="17:00", days_per_year=260)
LABEL = Label(
    ai1=Ai1Label(z_entry=2.0, z_exit=0.5, horizon_bars=48, speed_max=0.12, path="rolling"),
    ai2=Ai2Label(rho_var_max=0.025, atr_ratio_max=1.8, speed_max=0.12, dd_recent_max=0.07, class_weight_max=5.0),
    ai3=Ai3Label(quantile=0.9),
)
DECISION = Decision(z_stop=4.0, loss_limit=0.03)
CAPITAL = Capital(initial_usd=1_000_000.0, pair_share=0.5, leverage_max=4.0, margin_use_max=0.8)
HOUR = 3600


def moment(text: str) -> int:
    """Epoch seconds of a UTC time such as 2024-03-04T10."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def symbol(**changes: Any) -> Symbol:
    facts: dict[str, Any] = {
        "base": "EUR",
        "quote": "USD",
        "calendar": "fx",
        "tick_size": 1e-5,
        "contract_size": 100_000.0,
        "lot_step": 0.01,
        "min_lot": 0.01,
        "min_notional_usd": 1_000.0,
        "margin_rate": 0.0333,
    }
    return Symbol(**{**facts, **changes})


def costs(**changes: Any) -> Costs:
    rates: dict[str, Any] = {
        "commission_bp": 0.0,
        "slippage_bp": 0.0,
        "spread_bp": 0.0,
        "swap_long_bp_per_night": 0.0,
        "swap_short_bp_per_night": 0.0,
        "triple_swap_weekday": "wed",
        "slippage_hour_factors": (1.0,) * 24,
    }
    return Costs(**{**rates, **changes})


def pair_market(
    z: Sequence[float],
    *,
    pair_id: str = "A-B",
    start: str = "2024-03-04T10",
    ts: Sequence[int] | None = None,
    open_a: Sequence[float] | float = 1.1,
    close_a: Sequence[float] | float = 1.1,
    open_b: Sequence[float] | float = 1.3,
    close_b: Sequence[float] | float = 1.3,
    usd_open_b: Sequence[float] | float = 1.0,
    usd_close_b: Sequence[float] | float = 1.0,
    usd_age_b: Sequence[int] | None = None,
    beta: Sequence[float] | float = 1.0,
    filled: Sequence[int] | None = None,
    segments: Sequence[int] | None = None,
    symbols: tuple[Symbol, Symbol] | None = None,
    terms: tuple[Costs, Costs] | None = None,
    spread_sd: float = 1.0,
    atr: float = 0.0,
) -> PairMarket:
    """Hourly bars from `start` (or at `ts`) with the given z; prices are one number or one a bar."""
    n = len(z)

    def column(values: Sequence[float] | float) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (n,)).copy()

    stamps = np.asarray(ts, dtype=np.int64) if ts is not None else moment(start) + HOUR * np.arange(n, dtype=np.int64)
    segment = np.zeros(n, dtype=np.int64) if segments is None else np.asarray(segments, dtype=np.int64)
    oa, ca, ob, cb = column(open_a), column(close_a), column(open_b), column(close_b)
    bars = PairBars(
        pair_id=pair_id,
        timeframe_seconds=HOUR,
        ts=stamps,
        open_a=oa,
        high_a=np.maximum(oa, ca),
        low_a=np.minimum(oa, ca),
        close_a=ca,
        open_b=ob,
        high_b=np.maximum(ob, cb),
        low_b=np.minimum(ob, cb),
        close_b=cb,
        filled=np.zeros(n, dtype=np.uint8) if filled is None else np.asarray(filled, dtype=np.uint8),
        spike=np.zeros(n, dtype=np.uint8),
        segment=segment,
    )
    values = np.zeros((n, len(FEATURE_COLUMNS)))
    values[:, FEATURE_COLUMNS.index("z")] = z
    values[:, FEATURE_COLUMNS.index("beta")] = beta
    for name in ("atr_a", "atr_b"):
        values[:, FEATURE_COLUMNS.index(name)] = atr
    table = FeatureTable(pair_id, stamps, segment, values, np.zeros(n), np.zeros(n), np.full(n, spread_sd))
    symbol_a, symbol_b = symbols or (symbol(), symbol(base="GBP"))
    cost_a, cost_b = terms or (costs(), costs())
    fresh = np.zeros(n, dtype=np.int64)
    age = fresh if usd_age_b is None else np.asarray(usd_age_b, dtype=np.int64)
    return PairMarket(
        bars=bars,
        table=table,
        leg_a=LegMarket(symbol_a, cost_a, oa, ca, np.ones(n), np.ones(n), fresh),
        leg_b=LegMarket(symbol_b, cost_b, ob, cb, column(usd_open_b), column(usd_close_b), age),
    )


def replace_bars(market: PairMarket, bars: PairBars) -> PairMarket:
    return replace(market, bars=bars)


def marks_of(market: PairMarket) -> DailyMarks:
    """Marks from a week before the bars to a week after."""
    week = 7 * 24 * HOUR
    return daily_marks(int(market.bars.ts[0]) - week, int(market.bars.ts[-1]) + week, NEW_YORK_CLOSE)


def starts_of(
    market: PairMarket,
    *,
    scale: float = 1.0,
    decision: Decision = DECISION,
    late: tuple[int, int, int, int] | None = None,
) -> Candidates:
    """Every bar with |z| ≥ 2 as a candidate that any θ lets pass.

    `late` are the bars by which the entries of A and B and the exits of A and B come late.
    """
    z = market.table.column("z")
    at = np.flatnonzero(np.abs(z) >= LABEL.ai1.z_entry)
    predictions = Predictions(
        ts=market.bars.ts[at],
        z=z[at],
        return_prob=np.full(at.size, 0.9),
        risk_score=np.full(at.size, 0.1),
        scale=np.full(at.size, scale),
        risk_event=np.zeros(at.size),
    )
    delays = Delays(*(np.full(at.size, bars, dtype=np.int64) for bars in late)) if late else None
    return build_candidates(
        market, predictions, marks_of(market), LABEL, decision, stale_seconds=2 * HOUR, delays=delays
    )


def portfolio_of(*markets: PairMarket, capital: Capital = CAPITAL) -> Portfolio:
    return Portfolio(capital, DECISION.z_stop, tuple((m.leg_a.symbol, m.leg_b.symbol) for m in markets))
