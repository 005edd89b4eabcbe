"""All scenarios through the engine that trades the adoption window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
from core.config.backtest_policy import BacktestPolicy
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


def run_stress(
    book: StressedBook,
    core: CorePolicy,
    backtest: BacktestPolicy,
    seed: int,
    on_scenario: Callable[[int, int], None] = lambda done, most: None,
) -> StressResult:
    """Trade the book under every scenario.

    Args:
        book: pairs, window and θ.
        core, backtest: exit rules, windows of the features, and the stress section.
        seed: of all draws; the same book, policies and seed give the same result.
        on_scenario: called with the scenarios done and their number.
    """
    policy, points, limits = backtest.stress, [], {}
    scenarios = list(_scenarios(book, core, backtest, seed))
    for number, scenario in enumerate(scenarios, start=1):
        known: dict[float, Summary] = {}

        def summary_at(multiple: float, scenario: Scenario = scenario, known: dict[float, Summary] = known) -> Summary:
            if multiple not in known:
                pairs = [scenario.apply(pair, multiple) for pair in book.pairs]
                known[multiple] = _trade(pairs, book, core, backtest)
            return known[multiple]

        points += [
            StressPoint(scenario.name, multiple, scenario.intensity(multiple), summary_at(multiple))
            for multiple in scenario.multiples
        ]
        limits[scenario.name] = edge_limit(
            lambda multiple, at=summary_at: at(multiple).sharpe,  # type: ignore[misc]
            scenario.neutral,
            largest=policy.multiple_max,
            precision=policy.multiple_precision,
        )
        on_scenario(number, len(scenarios))
    return StressResult(_trade(book.pairs, book, core, backtest), tuple(points), limits)


def _scenarios(book: StressedBook, core: CorePolicy, backtest: BacktestPolicy, seed: int) -> Iterator[Scenario]:
    policy, grid = backtest.stress, grid_of(book.pairs)
    symbols = tuple(sorted({symbol for pair in book.pairs for symbol in pair.symbols}))
    z_window, z_entry = core.feature_windows.z, core.label.ai1.z_entry
    yield AtrNoise.drawn(policy.atr_noise, symbols, grid, seed, z_window=z_window, z_entry=z_entry)
    yield CorrelationCollapse.drawn(
        policy.correlation_collapse,
        symbols,
        grid,
        seed,
        sd_window=core.feature_windows.rho,
        z_window=z_window,
        z_entry=z_entry,
    )
    yield CostIncrease(policy.cost_increase)
    yield Latency.drawn(policy.latency, book.pairs, seed)
    yield GapEvents.drawn(policy.gap_events, symbols, grid, seed, z_window=z_window, z_entry=z_entry)


def _trade(pairs: Sequence[StressedPair], book: StressedBook, core: CorePolicy, backtest: BacktestPolicy) -> Summary:
    candidates = pool_candidates(
        [
            build_candidates(
                pair.market,
                pair.starts,
                book.marks,
                core.label,
                core.decision,
                stale_seconds=core.signal.stale_threshold_seconds,
                delays=pair.delays,
            )
            for pair in pairs
        ]
    )
    result = run_backtest(candidates, book.marks, book.portfolio, book.window, theta1=book.theta1, theta2=book.theta2)
    return summarise(result, backtest.daily_mark.days_per_year)
