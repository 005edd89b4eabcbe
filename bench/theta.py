"""θ evaluation beside vectorbt and backtesting.py on the same trades, and the whole search (SPEC TH-1 … TH-3)."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.measurement import Measurement, Work, compare, side_by_side, wall_seconds
from bench.memory import Job, memory_beside
from bench.theta_backtesting import BacktestingTrades
from bench.theta_market import PAIRS, ThetaMarket, theta_market
from bench.theta_vectorbt import VectorbtTrades
from core.config.core_policy import CorePolicy, ThetaObjective
from core.config.loader import load_settings
from core.config.settings import Settings
from core.stores.theta_trials import open_trials, upgrade_trials
from core.thresholds.gain import gain_interval
from core.thresholds.identity import search_identity
from core.thresholds.objective import SearchData, evaluate
from core.thresholds.search import SearchOutcome, search
from core.thresholds.surface import theta_surface
from laptop.servers import EmbeddedPostgres

CONFIG = Path(__file__).parents[1] / "configs"
BARS = 18_600
THETA = (0.70, 0.30)
TRIALS = 100
SEED = 7
ROUNDS = 7
EVALUATIONS = 50
LONG_ROUNDS = 3


@dataclass(frozen=True)
class Positions:
    """The trades of one θ as a peer wants them: spread price (bars, pairs) and the position held from each bar on."""

    price: NDArray[np.float64]
    held: NDArray[np.int64]
    n_trades: int

    @property
    def before(self) -> NDArray[np.int64]:
        """The position held up to each bar."""
        return np.vstack((np.zeros(self.held.shape[1], dtype=np.int64), self.held[:-1]))

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Where a position is entered or left."""
        return np.not_equal(self.held, self.before)


def measure(size: int) -> list[Measurement]:
    """Processor milliseconds and megabytes an evaluation, wall seconds a search and a surface.

    Over 30 pairs of 18,600 hourly bars (`size` where it is less), every trade at the costs of cost_table.yaml.
    backtesting.py knows one instrument: it is timed on one pair and its time multiplied by the pairs; its memory is
    that of one pair.

    Raises:
        AssertionError: a peer makes another number of trades than ours, which would make the comparison void.
    """
    settings = load_settings(CONFIG, "prod")
    market = theta_market(min(size, BARS), settings)
    data, objective = market.data, settings.core_policy.theta_objective
    positions = positions_of(market)
    vectorbt, backtesting = peers(positions)

    def evaluations() -> None:
        for _ in range(EVALUATIONS):
            evaluate(data, objective, *THETA)

    return [
        side_by_side(
            "theta_evaluation",
            "ms",
            Work(evaluations, EVALUATIONS),
            {
                "vectorbt": Work(vectorbt.simulate),
                f"backtesting.py (1 pair × {PAIRS})": Work(backtesting.run, 1 / PAIRS),
            },
            rounds=ROUNDS,
            scale=1e3,
        ),
        _memory(data, objective, positions),
        compare("theta_search", "s", _search_seconds(market, settings), {}),
        compare("theta_surface", "s", _surface_seconds(market, settings), {}),
    ]


def _memory(data: SearchData, objective: ThetaObjective, positions: Positions) -> Measurement:
    """Of one evaluation, what is worked out at a search's first among it."""
    return memory_beside(
        "theta_memory",
        Job(_evaluating, (data, objective)),
        {"vectorbt": Job(_simulating, (positions,)), "backtesting.py (1 pair)": Job(_following, (positions,))},
    )


def _evaluating(data: SearchData, objective: ThetaObjective) -> Callable[[], object]:
    return lambda: evaluate(replace(data), objective, *THETA)


def _simulating(positions: Positions) -> Callable[[], object]:
    return in_vectorbt(positions).simulate


def _following(positions: Positions) -> Callable[[], object]:
    return in_backtesting(positions).run


def peers(positions: Positions) -> tuple[VectorbtTrades, BacktestingTrades]:
    """The same trades in both, each checked to make as many as ours."""
    vectorbt, backtesting = in_vectorbt(positions), in_backtesting(positions)
    opened = np.count_nonzero(positions.changed & (positions.held != 0), axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert opened.sum() == positions.n_trades
        assert vectorbt.run() == positions.n_trades
        assert backtesting.run() == opened[0]
    return vectorbt, backtesting


def in_vectorbt(positions: Positions) -> VectorbtTrades:
    """All pairs."""
    held, before, changed = positions.held, positions.before, positions.changed
    return VectorbtTrades(
        positions.price, changed & (held > 0), changed & (before > 0), changed & (held < 0), changed & (before < 0)
    )


def in_backtesting(positions: Positions) -> BacktestingTrades:
    """The first pair."""
    return BacktestingTrades(positions.price[:, 0], positions.held[:, 0])


def positions_of(market: ThetaMarket) -> Positions:
    """The trades our backtest takes at THETA, on the bars they are filled at."""
    candidates = market.data.candidates
    result = market.data.backtest.run(*THETA)
    ts = market.bars[0].ts
    position = np.zeros((ts.size, PAIRS), dtype=np.int64)
    for row in result.taken:
        entry, left = np.searchsorted(ts, (candidates.entry_ts[row], candidates.exit_ts[row]))
        position[entry:left, candidates.pair[row]] = 1 if candidates.weight_a[row] > 0.0 else -1
    price = np.column_stack([100.0 * bars.open_a / bars.open_b for bars in market.bars])
    return Positions(price, position, result.taken.size)


def _search_seconds(market: ThetaMarket, settings: Settings) -> list[float]:
    """Grid, 100 trials and the bootstrap, every trial kept in PostgreSQL: each round the first search of its study."""
    core = settings.core_policy
    policy = core.theta_search.model_copy(update={"trials": TRIALS, "early_stop_trials": TRIALS})
    core = core.model_copy(update={"theta_search": policy})
    with (
        tempfile.TemporaryDirectory(prefix="ml-assets-core-") as folder,
        EmbeddedPostgres(Path(folder) / "pg") as server,
    ):
        url = server.url("postgres")
        upgrade_trials(url)
        return [wall_seconds(partial(_searched, market, core, url, SEED + i)) for i in range(LONG_ROUNDS)]


def _searched(market: ThetaMarket, core: CorePolicy, url: str, seed: int) -> SearchOutcome:
    of = (market.data, core.theta_objective, core.theta_search_range, core.theta_search)
    with open_trials(url, search_identity(*of, seed)) as store:
        outcome = search(*of, previous=THETA, seed=seed, on_trial=lambda done, most: None, store=store)
    assert len(outcome.trials) == 1 + core.theta_search.grid_points**2 + TRIALS
    assert outcome.best is not None
    gain_interval(outcome, core.theta_objective, core.theta_search, market.data.window.years, seed)
    return outcome


def _surface_seconds(market: ThetaMarket, settings: Settings) -> list[float]:
    core = settings.core_policy
    draw = {"points": core.theta_search.surface_points, "workers": settings.retrain_policy.workers}
    surface = partial(theta_surface, market.data, core.theta_objective, core.theta_search_range, **draw)
    return [wall_seconds(surface) for _ in range(LONG_ROUNDS)]
