"""Search outcomes written out by hand or drawn from a seeded generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.backtest.metrics import annual_return, max_drawdown, sharpe
from core.config.core_policy import ThetaObjective, ThetaRange, ThetaSearch
from core.market.pairs import Floats
from core.thresholds.objective import Evaluation, objective_value, penalties
from core.thresholds.search import SearchOutcome, Trial

OBJECTIVE = ThetaObjective(
    lambda_drawdown=2.0,
    lambda_trades=0.05,
    lambda_false_positive=0.10,
    max_drawdown=0.12,
    trades_per_year_min=150.0,
)
SEARCH = ThetaSearch(
    grid_points=6,
    trials=50,
    early_stop_trials=15,
    min_candidates=100,
    step_max=0.03,
    ewma_previous=0.7,
    confidence=0.95,
    bootstrap_resamples=400,
    bootstrap_block_days=5,
    candidates_kept=20,
    surface_points=5,
)
RANGES = ThetaRange(theta1=(0.60, 0.85), theta2=(0.20, 0.45))


def evaluation_of(returns: Floats, years: float, *, theta1: float = 0.7, closed_a_day: int = 1) -> Evaluation:
    """An evaluation whose numbers follow from its daily returns; nothing is ever blocked."""
    equity = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    closed = np.full(returns.size, closed_a_day, dtype=np.int64)
    annual, drawdown, trades = annual_return(equity, years), max_drawdown(equity), closed.sum() / years
    return Evaluation(
        theta1=theta1,
        theta2=0.3,
        value=objective_value(annual, drawdown, trades, 0.0, *penalties(OBJECTIVE)),
        annual_return=annual,
        max_drawdown=drawdown,
        trades_per_year=float(trades),
        false_positive=0.0,
        sharpe=sharpe(returns, 260),
        n_trades=int(closed.sum()),
        within_limits=bool(drawdown <= 0.12 and trades >= 150.0),
        returns=returns,
        closed=closed,
        passed=closed,
        blocked_wrongly=np.zeros(returns.size, dtype=np.int64),
    )


def outcome_of(evaluations: Sequence[Evaluation]) -> SearchOutcome:
    """The first evaluation is the previous θ."""
    within = [index for index, evaluation in enumerate(evaluations) if evaluation.within_limits]
    order = sorted(within, key=lambda index: (-evaluations[index].value, index))
    return SearchOutcome(tuple(Trial("grid", evaluation) for evaluation in evaluations), tuple(order))
