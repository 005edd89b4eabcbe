"""What a θ is worth on the search window (SPEC TH-2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from core.backtest.candidates import Candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.engine import BacktestResult, Portfolio, Window, run_backtest
from core.backtest.metrics import annual_return, max_drawdown, sharpe, trades_per_year
from core.config.core_policy import ThetaObjective
from core.market.pairs import Floats, Ints


@dataclass(frozen=True)
class SearchData:
    """Everything a θ is tried on."""

    candidates: Candidates
    marks: DailyMarks
    portfolio: Portfolio
    window: Window
    days_per_year: int


@dataclass(frozen=True)
class Evaluation:
    """One θ on the window, with the daily series behind its numbers (arrays (d,) over the daily marks).

    `closed` counts trades by the day they are closed on; `passed` starts AI1 passes and `blocked_wrongly` those of them
    AI2 blocks although no risk event followed, by the day of the decision.
    """

    theta1: float
    theta2: float
    value: float
    annual_return: float
    max_drawdown: float
    trades_per_year: float
    false_positive: float
    sharpe: float
    n_trades: int
    within_limits: bool
    returns: Floats
    closed: Ints
    passed: Ints
    blocked_wrongly: Ints


@njit(cache=True, error_model="numpy")
def objective_value(
    annual: float,
    drawdown: float,
    trades: float,
    false_positive: float,
    lambda_drawdown: float,
    lambda_trades: float,
    lambda_false_positive: float,
    drawdown_limit: float,
    trades_limit: float,
) -> float:
    """annual − λ₁·max(0, MaxDD − limit) − λ₂·max(0, least − n)/least − λ₃·FP, n = trades a year (SPEC TH-2)."""
    return float(
        annual
        - lambda_drawdown * max(0.0, drawdown - drawdown_limit)
        - lambda_trades * max(0.0, trades_limit - trades) / trades_limit
        - lambda_false_positive * false_positive
    )


def evaluate(data: SearchData, policy: ThetaObjective, theta1: float, theta2: float) -> Evaluation:
    """Backtest one θ on the window and value it.

    FP is the share of the starts AI1 passes that AI2 blocks although no risk event followed; starts whose label is cut
    off or looks beyond the window are left out of it, and it is 0 where AI1 passes none.
    """
    result = run_backtest(data.candidates, data.marks, data.portfolio, data.window, theta1=theta1, theta2=theta2)
    passed, blocked = _false_positives(data, result, theta1, theta2)
    n_passed = int(passed.sum())
    false_positive = float(blocked.sum()) / n_passed if n_passed else 0.0
    years = data.window.years
    annual = annual_return(result.equity, years)
    drawdown = max_drawdown(result.equity)
    trades = trades_per_year(result.taken.size, years)
    returns = result.daily_returns
    return Evaluation(
        theta1=theta1,
        theta2=theta2,
        value=objective_value(annual, drawdown, trades, false_positive, *penalties(policy)),
        annual_return=annual,
        max_drawdown=drawdown,
        trades_per_year=trades,
        false_positive=false_positive,
        sharpe=sharpe(returns, data.days_per_year),
        n_trades=int(result.taken.size),
        within_limits=drawdown <= policy.max_drawdown and trades >= policy.trades_per_year_min,
        returns=returns,
        closed=_by_day(result, data.candidates.exit_ts[result.taken]),
        passed=passed,
        blocked_wrongly=blocked,
    )


def penalties(policy: ThetaObjective) -> tuple[float, float, float, float, float]:
    """Weights and limits in the order `objective_value` takes them."""
    return (
        policy.lambda_drawdown,
        policy.lambda_trades,
        policy.lambda_false_positive,
        policy.max_drawdown,
        policy.trades_per_year_min,
    )


def count_starts(data: SearchData) -> int:
    """Starts whose entry and exit lie within the window."""
    inside = (data.candidates.decided >= data.window.start) & (data.candidates.exit_ts <= data.window.end)
    return int(inside.sum())


def _false_positives(data: SearchData, result: BacktestResult, theta1: float, theta2: float) -> tuple[Ints, Ints]:
    found = data.candidates
    known = (
        (found.decided >= data.window.start)
        & (found.horizon <= data.window.end)
        & np.isfinite(found.risk_event)
        & (found.return_prob > theta1)
    )
    wrong = known & (found.risk_score >= theta2) & (found.risk_event == 0.0)
    return _by_day(result, found.decided[known]), _by_day(result, found.decided[wrong])


def _by_day(result: BacktestResult, moments: Ints) -> Ints:
    """How many moments fall on each day; a day ends just before its mark."""
    day = np.searchsorted(result.mark_ts, moments, side="right")
    return np.bincount(day, minlength=result.mark_ts.size)[: result.mark_ts.size].astype(np.int64)
