"""The portfolio: walks the candidates of all pairs in time order on one capital (FORMULAS "Position", "Gross")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.backtest.candidates import NEVER, Candidates
from core.backtest.daily_marks import DailyMarks
from core.config.backtest_policy import Capital
from core.config.universe import Symbol
from core.market.pairs import Floats, Ints
from core.signals.sizing import round_lots


@dataclass(frozen=True)
class Window:
    """Entries decided at or after `start` whose exit is filled at or before `end` (epoch seconds UTC)."""

    start: int
    end: int

    @property
    def years(self) -> float:
        """Length in Julian years."""
        return (self.end - self.start) / (365.25 * 86400)


@dataclass(frozen=True)
class Portfolio:
    """What the walk needs besides candidates. `legs` are the two legs of each pair, in the candidates' order."""

    capital: Capital
    z_stop: float
    legs: tuple[tuple[Symbol, Symbol], ...]


@dataclass(frozen=True)
class BacktestResult:
    """Trades taken and the daily equity.

    `taken` (k,) indexes the candidates; `lots_a`, `lots_b` (k,) are unsigned lots, `gross_usd` (k,) the notional of
    both legs at the decision bar's close. `mark_ts` (d,) are the daily marks from the first after the window's start
    to the first after its end, `equity` (d + 1,) starts with the initial capital; `open_positions` (d,).
    """

    window: Window
    taken: Ints
    lots_a: Floats
    lots_b: Floats
    gross_usd: Floats
    mark_ts: Ints
    equity: Floats
    open_positions: Ints

    @property
    def daily_returns(self) -> Floats:
        """Change of equity from mark to mark (d,); 0 once the capital is gone."""
        before = self.equity[:-1]
        change = np.zeros(before.shape[0])
        np.divide(np.diff(self.equity), before, out=change, where=before > 0.0)
        return change


def run_backtest(
    candidates: Candidates,
    marks: DailyMarks,
    portfolio: Portfolio,
    window: Window,
    *,
    theta1: float,
    theta2: float,
) -> BacktestResult:
    """Trade the candidates that pass θ within the window.

    A start is taken when return_prob > θ1, risk_score < θ2, |z| < z_stop, the pair holds no position and |z| < z_entry
    was seen since its last exit was decided. Gross = scale × pair_share × equity at the last daily mark, no more than
    total leverage and margin leave room for; lots are sized at the decision bar's close, rounded down, and a position
    with a leg below the least lot or notional is skipped. Exits come before entries of the same moment, and a daily
    mark before both. When equity is gone nothing more is opened.

    Raises:
        ValueError: the portfolio's legs do not belong to the candidates' pairs, or the marks end before the window.
    """
    if len(portfolio.legs) != len(candidates.pairs):
        raise ValueError(f"{len(portfolio.legs)} pairs of legs for {len(candidates.pairs)} pairs of candidates")
    first = int(np.searchsorted(marks.ts, window.start, side="right"))
    last = int(np.searchsorted(marks.ts, window.end, side="right"))
    if last >= marks.ts.shape[0]:
        raise ValueError("the daily marks end before the window does")
    eligible = np.flatnonzero((candidates.decided >= window.start) & (candidates.exit_ts <= window.end))
    terms = np.array(
        [[[s.lot_step, s.min_lot, s.min_notional_usd, s.margin_rate] for s in legs] for legs in portfolio.legs]
    ).reshape(-1, 2, 4)
    capital = portfolio.capital
    taken, lots_a, lots_b, gross, equity, open_positions = _walk(
        eligible,
        candidates.pair,
        candidates.decided,
        candidates.below,
        candidates.z,
        candidates.return_prob,
        candidates.risk_score,
        candidates.scale,
        candidates.weight_a,
        candidates.weight_b,
        candidates.exit_decided,
        candidates.exit_ts,
        candidates.lot_usd_a,
        candidates.lot_usd_b,
        candidates.move_a - candidates.cost_a - candidates.swap_a,
        candidates.move_b - candidates.cost_b - candidates.swap_b,
        candidates.mark_first,
        candidates.mark_start,
        candidates.mark_a,
        candidates.mark_b,
        marks.ts[: last + 1],
        first,
        terms,
        theta1,
        theta2,
        portfolio.z_stop,
        capital.initial_usd,
        capital.pair_share,
        capital.leverage_max,
        capital.margin_use_max,
    )
    return BacktestResult(window, taken, lots_a, lots_b, gross, marks.ts[first : last + 1], equity, open_positions)


@njit(cache=True, error_model="numpy")
def _walk(
    eligible: Ints,
    pair: Ints,
    decided: Ints,
    below: Ints,
    z: Floats,
    return_prob: Floats,
    risk_score: Floats,
    scale: Floats,
    weight_a: Floats,
    weight_b: Floats,
    exit_decided: Ints,
    exit_ts: Ints,
    lot_usd_a: Floats,
    lot_usd_b: Floats,
    net_a: Floats,
    net_b: Floats,
    mark_first: Ints,
    mark_start: Ints,
    mark_a: Floats,
    mark_b: Floats,
    marks: Ints,
    first_mark: int,
    terms: NDArray[np.float64],
    theta1: float,
    theta2: float,
    z_stop: float,
    initial: float,
    pair_share: float,
    leverage_max: float,
    margin_use_max: float,
) -> tuple[Ints, Floats, Floats, Floats, Floats, Ints]:
    """taken, lots_a, lots_b, gross_usd, equity (from the initial capital on), open positions at each mark."""
    n_pairs, n_marks = terms.shape[0], marks.shape[0]
    holding = np.full(n_pairs, -1, dtype=np.int64)
    held_a, held_b = np.zeros(n_pairs), np.zeros(n_pairs)
    held_gross, held_margin = np.zeros(n_pairs), np.zeros(n_pairs)
    last_exit = np.full(n_pairs, NEVER, dtype=np.int64)
    taken = np.empty(eligible.shape[0], dtype=np.int64)
    lots_a, lots_b, gross_usd = np.empty(taken.shape[0]), np.empty(taken.shape[0]), np.empty(taken.shape[0])
    equities = np.empty(n_marks - first_mark + 1)
    open_positions = np.zeros(n_marks - first_mark, dtype=np.int64)
    equities[0] = initial
    cash, equity, count, mark = initial, initial, 0, first_mark

    for step in range(eligible.shape[0] + 1):
        at_end = step == eligible.shape[0]
        c = -1 if at_end else eligible[step]
        while mark < n_marks and (at_end or marks[mark] <= decided[c]):
            floating = 0.0
            for p in range(n_pairs):
                o = holding[p]
                if o >= 0 and exit_ts[o] < marks[mark]:
                    cash += _close(p, exit_decided, net_a, net_b, holding, held_a, held_b, last_exit)
                elif o >= 0 and mark >= mark_first[o]:
                    j = mark_start[o] + mark - mark_first[o]
                    floating += held_a[p] * mark_a[j] + held_b[p] * mark_b[j]
                    open_positions[mark - first_mark] += 1
            equity = cash + floating
            equities[mark - first_mark + 1] = equity
            mark += 1
        if at_end or equity <= 0.0 or not _passes(return_prob[c], risk_score[c], z[c], theta1, theta2, z_stop):
            continue
        p = pair[c]
        if holding[p] >= 0:
            if exit_ts[holding[p]] > decided[c]:
                continue
            cash += _close(p, exit_decided, net_a, net_b, holding, held_a, held_b, last_exit)
        if below[c] < last_exit[p]:
            continue
        share_a, share_b = abs(weight_a[c]), abs(weight_b[c])
        gross = min(
            scale[c] * pair_share * equity,
            leverage_max * equity - _in_use(held_gross, holding, exit_ts, decided[c]),
        )
        margin_rate = share_a * terms[p, 0, 3] + share_b * terms[p, 1, 3]
        if margin_rate > 0.0:
            room = margin_use_max * equity - _in_use(held_margin, holding, exit_ts, decided[c])
            gross = min(gross, room / margin_rate)
        qty_a = round_lots(gross * share_a, lot_usd_a[c], terms[p, 0, 0], terms[p, 0, 1], terms[p, 0, 2])
        qty_b = round_lots(gross * share_b, lot_usd_b[c], terms[p, 1, 0], terms[p, 1, 1], terms[p, 1, 2])
        if qty_a <= 0.0 or qty_b <= 0.0:
            continue
        holding[p], held_a[p], held_b[p] = c, qty_a, qty_b
        held_gross[p] = qty_a * lot_usd_a[c] + qty_b * lot_usd_b[c]
        held_margin[p] = qty_a * lot_usd_a[c] * terms[p, 0, 3] + qty_b * lot_usd_b[c] * terms[p, 1, 3]
        taken[count], lots_a[count], lots_b[count], gross_usd[count] = c, qty_a, qty_b, held_gross[p]
        count += 1
    return taken[:count], lots_a[:count], lots_b[:count], gross_usd[:count], equities, open_positions


@njit(cache=True, error_model="numpy")
def _passes(return_prob: float, risk_score: float, z: float, theta1: float, theta2: float, z_stop: float) -> bool:
    return return_prob > theta1 and risk_score < theta2 and abs(z) < z_stop


@njit(cache=True, error_model="numpy")
def _close(
    p: int,
    exit_decided: Ints,
    net_a: Floats,
    net_b: Floats,
    holding: Ints,
    held_a: Floats,
    held_b: Floats,
    last_exit: Ints,
) -> float:
    """Empty the pair's hand and return the position's net result."""
    o = holding[p]
    holding[p] = -1
    last_exit[p] = exit_decided[o]
    return float(held_a[p] * net_a[o] + held_b[p] * net_b[o])


@njit(cache=True, error_model="numpy")
def _in_use(held: Floats, holding: Ints, exit_ts: Ints, moment: int) -> float:
    """Gross or margin of the positions still open after `moment`."""
    used = 0.0
    for q in range(holding.shape[0]):
        if holding[q] >= 0 and exit_ts[holding[q]] > moment:
            used += held[q]
    return used
