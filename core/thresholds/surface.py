"""The objective at every point of a grid over the search range, drawn beside the search (SPEC TH-1, TH-2)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from numba import njit

from core.backtest.engine import Entries, Ground, passing
from core.config.core_policy import ThetaObjective, ThetaRange
from core.market.pairs import Floats, Ints
from core.thresholds.objective import (
    SearchData,
    Starts,
    Weights,
    count_passed,
    false_positive_share,
    judge_walk,
    penalties,
    within_limits,
)

_NUMBERS = ("value", "annual_return", "max_drawdown", "trades_per_year", "false_positive", "sharpe", "n_trades")


def theta_surface(
    data: SearchData, objective: ThetaObjective, ranges: ThetaRange, *, points: int, workers: int
) -> pd.DataFrame:
    """theta_surface.parquet: `points` × `points` rows, θ1 rising slowest, each valued as `evaluate` does.

    Args:
        data: what a θ is tried on.
        objective, ranges: weights, limits and the rectangle.
        points: values an axis, both bounds among them.
        workers: threads; the result does not depend on their number.
    """
    theta1, theta2 = (np.linspace(*bounds, points) for bounds in (ranges.theta1, ranges.theta2))
    work = partial(
        _line, data.backtest.entries, data.backtest.ground, data.starts, data.window.years, data.days_per_year
    )
    with ThreadPoolExecutor(workers) as pool:
        lines = list(pool.map(lambda first: work(penalties(objective), first, theta2), theta1.tolist()))
    frame = pd.DataFrame(np.concatenate(lines), columns=_NUMBERS).astype({"n_trades": np.int64})
    frame.insert(0, "theta1", np.repeat(theta1, points))
    frame.insert(1, "theta2", np.tile(theta2, points))
    limits = zip(frame["max_drawdown"], frame["trades_per_year"], strict=True)
    return frame.assign(within_limits=[within_limits(objective, drawdown, trades) for drawdown, trades in limits])


@njit(cache=True, nogil=True, error_model="numpy")
def _line(
    entries: Entries,
    ground: Ground,
    starts: Starts,
    years: float,
    days: int,
    weights: Weights,
    theta1: float,
    theta2: Floats,
) -> Floats:
    """The numbers at one θ1 and every θ2, shape (θ2, 7)."""
    found = np.empty((theta2.shape[0], 7))
    n_passed = count_passed(starts, theta1)
    likely = passing(entries.return_prob, entries.risk_score, theta1, np.inf)
    for i in range(theta2.shape[0]):
        chosen = _below(likely, entries.risk_score, theta2[i])
        false_positive = false_positive_share(starts, n_passed, theta2[i])
        numbers, _, _ = judge_walk(entries, ground, chosen, false_positive, years, days, weights)
        found[i, 0], found[i, 1], found[i, 2] = numbers.value, numbers.annual_return, numbers.max_drawdown
        found[i, 3], found[i, 4] = numbers.trades_per_year, numbers.false_positive
        found[i, 5], found[i, 6] = numbers.sharpe, numbers.n_trades
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _below(places: Ints, risk_score: Floats, theta2: float) -> Ints:
    """Those of the places with risk_score < θ2."""
    found, count = np.empty(places.shape[0], dtype=np.int64), 0
    for place in places:
        found[count] = place
        count += int(risk_score[place] < theta2)
    return found[:count]
