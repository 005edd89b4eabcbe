"""Backtests of one set of candidates at one θ on the policy's capital."""

from __future__ import annotations

from dataclasses import dataclass

from core.backtest.candidates import Candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.engine import Window, run_backtest
from core.backtest.frames import Run
from core.backtest.replay import portfolio_of
from core.backtest.summary import summarise
from core.config.settings import Settings


@dataclass(frozen=True)
class Book:
    """Candidates traded at one θ on the policy's capital."""

    settings: Settings
    candidates: Candidates
    marks: DailyMarks
    theta1: float
    theta2: float

    def trade(self, scope: str, window: Window) -> Run:
        """The backtest of a window and its numbers."""
        core, policy = self.settings.core_policy, self.settings.backtest_policy
        portfolio = portfolio_of(self.candidates, self.settings.universe, core, policy)
        result = run_backtest(self.candidates, self.marks, portfolio, window, theta1=self.theta1, theta2=self.theta2)
        summary = summarise(result, policy.daily_mark.days_per_year)
        return Run(scope, self.theta1, self.theta2, result, summary)
