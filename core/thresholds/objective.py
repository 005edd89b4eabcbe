"""What a θ is worth on the search window (SPEC TH-2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.backtest.candidates import Candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.engine import Entries, Ground, Portfolio, PreparedBacktest, Window, passing, prepare_backtest, walk
from core.backtest.metrics import annual_return, daily_returns, max_drawdown, sharpe, trades_per_year
from core.config.core_policy import ThetaObjective
from core.market.pairs import Floats, Ints


class Starts(NamedTuple):
    """Starts of the window whose exit is filled and whose risk label is known by its end, likeliest first, arrays (m,).

    `doubt` is −return_prob, rising; `calm` tells that no risk event followed; `day` is the daily mark that ends the day
    of the decision.
    """

    doubt: Floats
    risk_score: Floats
    calm: NDArray[np.bool_]
    day: Ints


@dataclass(frozen=True)
class SearchData:
    """Everything a θ is tried on. What does not depend on θ is worked out at the first trial and kept."""

    candidates: Candidates
    marks: DailyMarks
    portfolio: Portfolio
    window: Window
    days_per_year: int

    @cached_property
    def backtest(self) -> PreparedBacktest:
        """The window ready for the walk."""
        return prepare_backtest(self.candidates, self.marks, self.portfolio, self.window)

    @cached_property
    def starts(self) -> Starts:
        """What false positives are counted on."""
        found = self.candidates
        ended = (found.horizon <= self.window.end) & (found.exit_ts <= self.window.end)
        known = np.flatnonzero((found.decided >= self.window.start) & ended & np.isfinite(found.risk_event))
        row = known[np.argsort(-found.return_prob[known], kind="stable")]
        calm, day = found.risk_event[row] == 0.0, self.day_of(found.decided[row])
        return Starts(-found.return_prob[row], found.risk_score[row], calm, day)

    @cached_property
    def exit_day(self) -> Ints:
        """The day each entry of `backtest` is closed on (m,)."""
        return self.day_of(self.candidates.exit_ts[self.backtest.entries.row])

    def day_of(self, moments: Ints) -> Ints:
        """The daily mark of the window that ends the day of each moment; a day ends just before its mark."""
        return np.searchsorted(self.backtest.ground.mark_ts, moments, side="right").astype(np.int64)


class Numbers(NamedTuple):
    """What a θ is judged by."""

    value: float
    annual_return: float
    max_drawdown: float
    trades_per_year: float
    false_positive: float
    sharpe: float
    n_trades: int


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


Weights = tuple[float, float, float, float, float]


@njit(cache=True, nogil=True, error_model="numpy")
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
    entries, ground = data.backtest.entries, data.backtest.ground
    numbers, returns, closed, passed, blocked = _trial(
        entries,
        ground,
        data.starts,
        data.exit_day,
        theta1,
        theta2,
        data.window.years,
        data.days_per_year,
        penalties(policy),
    )
    return Evaluation(
        theta1=theta1,
        theta2=theta2,
        **numbers._asdict(),
        within_limits=within_limits(policy, numbers.max_drawdown, numbers.trades_per_year),
        returns=returns,
        closed=closed,
        passed=passed,
        blocked_wrongly=blocked,
    )


def within_limits(policy: ThetaObjective, drawdown: float, trades: float) -> bool:
    """Whether a θ meets the constraints (SPEC TH-2)."""
    return drawdown <= policy.max_drawdown and trades >= policy.trades_per_year_min


def penalties(policy: ThetaObjective) -> Weights:
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


@njit(cache=True, nogil=True, error_model="numpy")
def judge_walk(
    entries: Entries, ground: Ground, chosen: Ints, false_positive: float, years: float, days: int, weights: Weights
) -> tuple[Numbers, Ints, Floats]:
    """Walk the chosen entries and value the result: its numbers, the places taken, the daily returns."""
    taken, _, _, _, equity, _ = walk(entries, ground, chosen)
    returns = daily_returns(equity)
    annual, drawdown = annual_return(equity, years), max_drawdown(equity)
    trades = trades_per_year(taken.shape[0], years)
    value = objective_value(
        annual, drawdown, trades, false_positive, weights[0], weights[1], weights[2], weights[3], weights[4]
    )
    numbers = Numbers(value, annual, drawdown, trades, false_positive, sharpe(returns, days), taken.shape[0])
    return numbers, taken, returns


@njit(cache=True, nogil=True, error_model="numpy")
def count_passed(starts: Starts, theta1: float) -> int:
    """How many starts AI1 passes: that many, from the first on."""
    return int(np.searchsorted(starts.doubt, -theta1))


@njit(cache=True, nogil=True, error_model="numpy")
def false_positive_share(starts: Starts, n_passed: int, theta2: float) -> float:
    """FP: the share of the first `n_passed` starts that AI2 blocks although no risk event followed; 0 of none."""
    n_blocked = 0
    for i in range(n_passed):
        n_blocked += starts.calm[i] & (starts.risk_score[i] >= theta2)
    return n_blocked / n_passed if n_passed > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _trial(
    entries: Entries,
    ground: Ground,
    starts: Starts,
    exit_day: Ints,
    theta1: float,
    theta2: float,
    years: float,
    days: int,
    weights: Weights,
) -> tuple[Numbers, Floats, Ints, Ints, Ints]:
    n_days = ground.mark_ts.shape[0]
    closed, passed = np.zeros(n_days, dtype=np.int64), np.zeros(n_days, dtype=np.int64)
    blocked = np.zeros(n_days, dtype=np.int64)
    n_passed = count_passed(starts, theta1)
    for i in range(n_passed):
        passed[starts.day[i]] += 1
        blocked[starts.day[i]] += starts.calm[i] & (starts.risk_score[i] >= theta2)
    false_positive = false_positive_share(starts, n_passed, theta2)
    chosen = passing(entries.return_prob, entries.risk_score, theta1, theta2)
    numbers, taken, returns = judge_walk(entries, ground, chosen, false_positive, years, days, weights)
    for place in taken:
        closed[exit_day[place]] += 1
    return numbers, returns, closed, passed, blocked
