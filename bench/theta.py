"""θ evaluation beside vectorbt and backtesting.py on the same trades, and the whole search (SPEC TH-1 … TH-3)."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.measurement import Measurement, best_seconds
from bench.theta_backtesting import BacktestingTrades
from bench.theta_market import PAIRS, ThetaMarket, theta_market
from bench.theta_vectorbt import VectorbtTrades
from core.config.core_policy import CorePolicy
from core.config.loader import load_settings
from core.config.settings import Settings
from core.stores.theta_trials import open_trials, upgrade_trials
from core.thresholds.gain import gain_interval
from core.thresholds.identity import search_identity
from core.thresholds.objective import evaluate
from core.thresholds.search import SearchOutcome, search
from core.thresholds.surface import theta_surface
from laptop.servers import EmbeddedPostgres

CONFIG = Path(__file__).parents[1] / "configs"
BARS = 18_600
THETA = (0.70, 0.30)
TRIALS = 100
SEED = 7


@dataclass(frozen=True)
class Positions:
    """The trades of one θ as a peer wants them: spread price (bars, pairs) and the position held from each bar on."""

    price: NDArray[np.float64]
    position: NDArray[np.int64]
    n_trades: int

    @property
    def before(self) -> NDArray[np.int64]:
        """The position held up to each bar."""
        return np.vstack((np.zeros(self.position.shape[1], dtype=np.int64), self.position[:-1]))


def measure(size: int) -> list[Measurement]:
    """Processor milliseconds an evaluation, wall seconds a search and a surface.

    Over 30 pairs of 18,600 hourly bars (`size` where it is less), every trade at the costs of cost_table.yaml.
    backtesting.py knows one instrument: it is timed on one pair and its time multiplied by the pairs.

    Raises:
        AssertionError: a peer makes another number of trades than ours, which would make the comparison void.
    """
    settings = load_settings(CONFIG, "prod")
    market = theta_market(min(size, BARS), settings)
    data, objective = market.data, settings.core_policy.theta_objective
    positions = positions_of(market)
    vectorbt, backtesting = peers(positions)
    ours = best_seconds(lambda: evaluate(data, objective, *THETA), 50)
    against = {
        "vectorbt": best_seconds(vectorbt.simulate, 5) / ours,
        "backtesting.py (1 pair × 30)": PAIRS * best_seconds(backtesting.run, 3) / ours,
    }
    return [
        Measurement("theta_evaluation", 1e3 * ours, "ms", against),
        Measurement("theta_search", _search_seconds(market, settings), "s", {}),
        Measurement("theta_surface", _surface_seconds(market, settings), "s", {}),
    ]


def peers(positions: Positions) -> tuple[VectorbtTrades, BacktestingTrades]:
    """The same trades in both, each checked to make as many as ours."""
    held, before = positions.position, positions.before
    changed = held != before
    opened = np.count_nonzero(changed & (held != 0), axis=0)
    vectorbt = VectorbtTrades(
        positions.price,
        changed & (held > 0),
        changed & (before > 0),
        changed & (held < 0),
        changed & (before < 0),
    )
    backtesting = BacktestingTrades(positions.price[:, 0], held[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert opened.sum() == positions.n_trades
        assert vectorbt.run() == positions.n_trades
        assert backtesting.run() == opened[0]
    return vectorbt, backtesting


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


def _search_seconds(market: ThetaMarket, settings: Settings) -> float:
    """Grid, 100 trials and the bootstrap, every trial kept in PostgreSQL: the first search of a study, no warm-up."""
    core = settings.core_policy
    policy = core.theta_search.model_copy(update={"trials": TRIALS, "early_stop_trials": TRIALS})
    core = core.model_copy(update={"theta_search": policy})
    with (
        tempfile.TemporaryDirectory(prefix="ml-assets-core-") as folder,
        EmbeddedPostgres(Path(folder) / "pg") as server,
    ):
        url = server.url("postgres")
        upgrade_trials(url)
        return _wall_seconds(lambda: _searched(market, core, url))


def _searched(market: ThetaMarket, core: CorePolicy, url: str) -> SearchOutcome:
    of = (market.data, core.theta_objective, core.theta_search_range, core.theta_search)
    with open_trials(url, search_identity(*of, SEED)) as store:
        outcome = search(*of, previous=THETA, seed=SEED, on_trial=lambda done, most: None, store=store)
    assert len(outcome.trials) == 1 + core.theta_search.grid_points**2 + TRIALS
    assert outcome.best is not None
    gain_interval(outcome, core.theta_objective, core.theta_search, market.data.window.years, SEED)
    return outcome


def _surface_seconds(market: ThetaMarket, settings: Settings) -> float:
    core = settings.core_policy
    draw = {"points": core.theta_search.surface_points, "workers": settings.retrain_policy.workers}
    return _wall_seconds(lambda: theta_surface(market.data, core.theta_objective, core.theta_search_range, **draw))


def _wall_seconds(work: Callable[[], object]) -> float:
    """Wall time of one run: what waits for a server, or works on several cores, is not told by processor time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
