"""All scenarios through the engine that trades the adoption window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from core.backtest.candidates import build_candidates, pool_candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.engine import Portfolio, Window, run_backtest
from core.backtest.stress.atr_noise import AtrNoise
from core.backtest.stress.correlation_collapse import CorrelationCollapse
from core.backtest.stress.cost_increase import CostIncrease
from core.backtest.stress.draws import grid_of
from core.backtest.stress.edge import EdgeLimit, edge_limit
from core.backtest.stress.gap_events import GapEvents
from core.backtest.stress.latency import Latency
from core.backtest.stress.pair import StressedPair
from core.backtest.stress.scenario import Scenario
from core.backtest.summary import Summary, summarise
from core.config.backtest_policy import BacktestPolicy, StressPolicy
from core.config.core_policy import CorePolicy


@dataclass(frozen=True)
class StressedBook:
    """What is stressed: the pairs over the window, in the portfolio's order, and the θ they are traded at."""

    pairs: Sequence[StressedPair]
    marks: DailyMarks
    portfolio: Portfolio
    window: Window
    theta1: float
    theta2: float


@dataclass(frozen=True)
class StressPoint:
    """The numbers under one scenario at one multiple; `intensity` is in the scenario's own unit."""

    scenario: str
    multiple: float
    intensity: float
    summary: Summary


@dataclass(frozen=True)
class StressResult:
    """The unstressed numbers, one point for each scenario and multiple of the policy, and the limits of the edge."""

    baseline: Summary
    points: tuple[StressPoint, ...]
    limits: dict[str, EdgeLimit]


@dataclass(frozen=True)
class StressTest:
    """The scenarios drawn for a book, by name in the order they are told; the same seed draws the same."""

    book: StressedBook
    core: CorePolicy
    backtest: BacktestPolicy
    scenarios: Mapping[str, Scenario]

    @classmethod
    def drawn(cls, book: StressedBook, core: CorePolicy, backtest: BacktestPolicy, seed: int) -> StressTest:
        """Draw every scenario of the policy's stress section over the book's bars and starts."""
        scenarios = _scenarios(book, core, backtest.stress, seed)
        return cls(book, core, backtest, {scenario.name: scenario for scenario in scenarios})

    def summary_at(self, scenario: str, multiple: float) -> Summary:
        """The book's numbers under a scenario at a multiple."""
        return self.trade([self.scenarios[scenario].apply(pair, multiple) for pair in self.book.pairs])

    def trade(self, pairs: Sequence[StressedPair]) -> Summary:
        """The numbers of these pairs on the book's capital."""
        book = self.book
        candidates = pool_candidates(
            [
                build_candidates(
                    pair.market,
                    pair.starts,
                    book.marks,
                    self.core.label,
                    self.core.decision,
                    stale_seconds=self.core.signal.stale_threshold_seconds,
                    delays=pair.delays,
                )
                for pair in pairs
            ]
        )
        result = run_backtest(
            candidates, book.marks, book.portfolio, book.window, theta1=book.theta1, theta2=book.theta2
        )
        return summarise(result, self.backtest.daily_mark.days_per_year)


def run_stress(test: StressTest, on_scenario: Callable[[int, int], None]) -> StressResult:
    """Trade the book under every scenario at the policy's multiples, and find where each kills the edge.

    Args:
        test: the scenarios and what they act on.
        on_scenario: called with the scenarios done and their number.
    """
    points: list[StressPoint] = []
    limits: dict[str, EdgeLimit] = {}
    for name, scenario in test.scenarios.items():
        at = cache(partial(test.summary_at, name))
        points += [StressPoint(name, each, scenario.intensity(each), at(each)) for each in scenario.multiples]
        limits[name] = edge_limit(
            lambda multiple, at=at: at(multiple).sharpe,  # type: ignore[misc]
            scenario.neutral,
            largest=test.backtest.stress.multiple_max,
            precision=test.backtest.stress.multiple_precision,
        )
        on_scenario(len(limits), len(test.scenarios))
    return StressResult(test.trade(test.book.pairs), tuple(points), limits)


def _scenarios(book: StressedBook, core: CorePolicy, policy: StressPolicy, seed: int) -> Iterator[Scenario]:
    grid = grid_of(book.pairs)
    symbols = tuple(sorted({symbol for pair in book.pairs for symbol in pair.symbols}))
    z_window = core.feature_windows.z
    yield AtrNoise.drawn(policy.atr_noise, symbols, grid, seed, z_window=z_window)
    yield CorrelationCollapse.drawn(
        policy.correlation_collapse,
        symbols,
        grid,
        seed,
        sd_window=core.feature_windows.rho,
        z_window=z_window,
    )
    yield CostIncrease(policy.cost_increase)
    yield Latency.drawn(policy.latency, book.pairs, seed)
    yield GapEvents.drawn(policy.gap_events, symbols, grid, seed, z_window=z_window)
