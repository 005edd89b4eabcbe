"""The stress part of the θ task: the chosen positions of the adoption window under five scenarios (SPEC BT-3)."""

from __future__ import annotations

from core.backtest.engine import Window
from core.backtest.replay import pair_market, portfolio_of
from core.backtest.stress.pair import pair_from
from core.backtest.stress.run import StressedBook, StressResult, StressTest, run_stress
from core.stores.run_folder import RunFolder
from tasks.backtest import load_market
from tasks.book import Book
from tasks.context import TaskContext


def stress_book(context: TaskContext, run: RunFolder, book: Book, window: Window, seed: int) -> StressResult:
    """Stress the book's trades of a window on the market they were replayed on.

    Raises:
        InputError: a file of the run or of the lake is absent.
    """
    settings, candidates = context.settings, book.candidates
    core, policy, universe = settings.core_policy, settings.backtest_policy, settings.universe
    market = load_market(context, run)
    legs = {pair.id: (pair.a, pair.b) for pair in universe.pairs}
    lead = core.feature_windows.rho + 1
    stressed = StressedBook(
        pairs=[
            pair_from(pair_market(market, pair_id), legs[pair_id], candidates, window.start, lead)
            for pair_id in candidates.pairs
        ],
        marks=book.marks,
        portfolio=portfolio_of(candidates, universe, core, policy),
        window=window,
        theta1=book.theta1,
        theta2=book.theta2,
    )
    test = StressTest.drawn(stressed, core, policy, seed)
    result = run_stress(test, lambda done, most: context.progress.advance(done, most, "scenarios"))
    for scenario, limit in result.limits.items():
        context.log.info("stressed", scenario=scenario, edge=limit.outcome, multiple=limit.multiple)
    return result
