"""One backtest in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from core.backtest.engine import BacktestResult
from core.backtest.metrics import annual_return, max_drawdown, probabilistic_sharpe, sharpe, trades_per_year


@dataclass(frozen=True)
class Summary:
    """Judged numbers; every float is finite. `psr` is the probabilistic Sharpe ratio against 0."""

    n_trades: int
    n_days: int
    years: float
    sharpe: float
    max_drawdown: float
    annual_return: float
    trades_per_year: float
    psr: float
    final_equity: float


def summarise(result: BacktestResult, days_per_year: int) -> Summary:
    """Judge a backtest on its daily equity and its closed trades."""
    returns, years = result.daily_returns, result.window.years
    return Summary(
        n_trades=int(result.taken.shape[0]),
        n_days=int(returns.shape[0]),
        years=years,
        sharpe=sharpe(returns, days_per_year),
        max_drawdown=max_drawdown(result.equity),
        annual_return=annual_return(result.equity, years),
        trades_per_year=trades_per_year(int(result.taken.shape[0]), years),
        psr=probabilistic_sharpe(returns, 0.0),
        final_equity=float(result.equity[-1]),
    )
