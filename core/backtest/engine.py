"""The portfolio: walks the candidates of all pairs in time order on one capital (FORMULAS "Position", "Gross")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.backtest.candidates import NEVER, Candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.metrics import daily_returns
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
        returns: Floats = daily_returns(self.equity)
        return returns


ENTRY: Final = np.dtype(
    [
        *((name, np.int64) for name in ("pair", "decided", "below", "exit_decided", "exit_ts")),
        *((name, np.int64) for name in ("mark_first", "mark_offset")),
        *((name, np.float64) for name in ("scale", "share_a", "share_b", "lot_usd_a", "lot_usd_b")),
        *((name, np.float64) for name in ("net_a", "net_b", "margin_rate")),
    ]
)
"""One entry as the walk reads it, side by side in memory: a trade touches two cache lines instead of fifteen.

`share_a`, `share_b` are the unsigned weights, `net_a`, `net_b` the result per lot, costs and swap taken off, and
`margin_rate` is that of both legs per unit of gross. `mark_first` counts marks from the first of the window;
`mark_offset` + that number is the place of a mark in the flat marks of the candidates.
"""


Walked = tuple[Ints, Floats, Floats, Floats, Floats, Ints]
"""Places taken, lots_a, lots_b, gross_usd, equity (from the initial capital on), open positions at each mark."""


class Entries(NamedTuple):
    """The candidates a window may take, in order of decision: `row` (m,) is a candidate's place among all of them.

    `terms` (m,) are of ENTRY; what θ is compared with, `return_prob` and `risk_score` (m,), stands apart.
    """

    row: Ints
    return_prob: Floats
    risk_score: Floats
    terms: NDArray[np.void]


class Ground(NamedTuple):
    """What every walk over a window has in common: marks, contracts and capital.

    `mark_a`, `mark_b` are the flat marks of the candidates, `mark_ts` (d,) the daily marks of the window. `contract` is
    (pairs, 2 legs, 4): lot_step, min_lot, min_notional_usd, margin_rate; the rest is `Capital`.
    """

    mark_a: Floats
    mark_b: Floats
    mark_ts: Ints
    contract: NDArray[np.float64]
    initial_usd: float
    pair_share: float
    leverage_max: float
    margin_use_max: float


@dataclass(frozen=True)
class PreparedBacktest:
    """A window made ready once, so that each further θ costs only its walk."""

    window: Window
    entries: Entries
    ground: Ground

    def run(self, theta1: float, theta2: float) -> BacktestResult:
        """Trade the candidates that pass θ; see `run_backtest`."""
        taken, lots_a, lots_b, gross, equity, held = trade(self.entries, self.ground, theta1, theta2)
        row = self.entries.row[taken]
        return BacktestResult(self.window, row, lots_a, lots_b, gross, self.ground.mark_ts, equity, held)


def prepare_backtest(
    candidates: Candidates, marks: DailyMarks, portfolio: Portfolio, window: Window
) -> PreparedBacktest:
    """Pick the candidates of a window and lay them out for the walk.

    Raises:
        ValueError: the portfolio's legs do not belong to the candidates' pairs, or the marks end before the window.
    """
    if len(portfolio.legs) != len(candidates.pairs):
        raise ValueError(f"{len(portfolio.legs)} pairs of legs for {len(candidates.pairs)} pairs of candidates")
    first = int(np.searchsorted(marks.ts, window.start, side="right"))
    last = int(np.searchsorted(marks.ts, window.end, side="right"))
    if last >= marks.ts.shape[0]:
        raise ValueError("the daily marks end before the window does")
    inside = (candidates.decided >= window.start) & (candidates.exit_ts <= window.end)
    row = np.flatnonzero(inside & (np.abs(candidates.z) < portfolio.z_stop))
    contract = np.array(
        [[[s.lot_step, s.min_lot, s.min_notional_usd, s.margin_rate] for s in legs] for legs in portfolio.legs]
    ).reshape(-1, 2, 4)
    terms = np.empty(row.size, dtype=ENTRY)
    for name in ("pair", "decided", "below", "exit_decided", "exit_ts", "scale", "lot_usd_a", "lot_usd_b"):
        terms[name] = getattr(candidates, name)[row]
    terms["mark_first"] = candidates.mark_first[row] - first
    terms["mark_offset"] = candidates.mark_start[row] - terms["mark_first"]
    for letter in "ab":
        move, cost, swap = (getattr(candidates, f"{name}_{letter}")[row] for name in ("move", "cost", "swap"))
        terms[f"share_{letter}"] = np.abs(getattr(candidates, f"weight_{letter}")[row])
        terms[f"net_{letter}"] = move - cost - swap
    terms["margin_rate"] = (
        terms["share_a"] * contract[terms["pair"], 0, 3] + terms["share_b"] * contract[terms["pair"], 1, 3]
    )
    entries = Entries(row, candidates.return_prob[row], candidates.risk_score[row], terms)
    capital = portfolio.capital
    ground = Ground(
        mark_a=np.ascontiguousarray(candidates.mark_a),
        mark_b=np.ascontiguousarray(candidates.mark_b),
        mark_ts=marks.ts[first : last + 1],
        contract=contract,
        initial_usd=capital.initial_usd,
        pair_share=capital.pair_share,
        leverage_max=capital.leverage_max,
        margin_use_max=capital.margin_use_max,
    )
    return PreparedBacktest(window, entries, ground)


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
    return prepare_backtest(candidates, marks, portfolio, window).run(theta1, theta2)


@njit(cache=True, nogil=True, error_model="numpy")
def trade(entries: Entries, ground: Ground, theta1: float, theta2: float) -> Walked:
    """What `walk` returns, over the entries that pass θ."""
    walked: Walked = walk(entries, ground, passing(entries.return_prob, entries.risk_score, theta1, theta2))
    return walked


@njit(cache=True, nogil=True, error_model="numpy")
def passing(return_prob: Floats, risk_score: Floats, theta1: float, theta2: float) -> Ints:
    """Places where return_prob > θ1 and risk_score < θ2, in order."""
    found, count = np.empty(return_prob.shape[0], dtype=np.int64), 0
    for i in range(return_prob.shape[0]):
        found[count] = i
        count += int((return_prob[i] > theta1) & (risk_score[i] < theta2))
    return found[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def walk(  # noqa: PLR0912, PLR0915 - one pass over time, which a call for each step would slow down
    entries: Entries, ground: Ground, chosen: Ints
) -> Walked:
    """Trade the `chosen` entries (increasing places) on one capital."""
    terms, contract, marks = entries.terms, ground.contract, ground.mark_ts
    n_pairs, n_marks = contract.shape[0], marks.shape[0]
    holding = np.full(n_pairs, -1, dtype=np.int64)
    busy_until, last_exit = np.full(n_pairs, NEVER, dtype=np.int64), np.full(n_pairs, NEVER, dtype=np.int64)
    held_a, held_b = np.zeros(n_pairs), np.zeros(n_pairs)
    held_gross, held_margin = np.zeros(n_pairs), np.zeros(n_pairs)
    open_pairs, n_open = np.empty(n_pairs, dtype=np.int64), 0
    taken = np.empty(chosen.shape[0], dtype=np.int64)
    lots_a, lots_b, gross_usd = np.empty(taken.shape[0]), np.empty(taken.shape[0]), np.empty(taken.shape[0])
    equities = np.empty(n_marks + 1)
    open_positions = np.zeros(n_marks, dtype=np.int64)
    equities[0] = ground.initial_usd
    cash, equity, count, mark = ground.initial_usd, ground.initial_usd, 0, 0

    for step in range(chosen.shape[0] + 1):
        at_end = step == chosen.shape[0]
        c = -1 if at_end else chosen[step]
        moment = np.int64(0) if at_end else terms[c].decided
        while mark < n_marks and (at_end or marks[mark] <= moment):
            floating = 0.0
            for p in range(n_pairs):
                o = holding[p]
                if o < 0:
                    continue
                if busy_until[p] < marks[mark]:
                    cash += held_a[p] * terms[o].net_a + held_b[p] * terms[o].net_b
                    holding[p], last_exit[p] = -1, terms[o].exit_decided
                elif mark >= terms[o].mark_first:
                    j = terms[o].mark_offset + mark
                    floating += held_a[p] * ground.mark_a[j] + held_b[p] * ground.mark_b[j]
                    open_positions[mark] += 1
            equity = cash + floating
            equities[mark + 1] = equity
            mark += 1
        if at_end or equity <= 0.0:
            continue
        p = terms[c].pair
        if busy_until[p] > moment:
            continue
        o = holding[p]
        if o >= 0:
            cash += held_a[p] * terms[o].net_a + held_b[p] * terms[o].net_b
            holding[p], last_exit[p] = -1, terms[o].exit_decided
        if terms[c].below < last_exit[p]:
            continue
        used_gross, used_margin = 0.0, 0.0
        n_kept = 0
        for k in range(n_open):
            q = open_pairs[k]
            still_open = 1 if busy_until[q] > moment else 0
            used_gross += still_open * held_gross[q]
            used_margin += still_open * held_margin[q]
            open_pairs[n_kept] = q
            n_kept += still_open
        n_open = n_kept
        gross = min(terms[c].scale * ground.pair_share * equity, ground.leverage_max * equity - used_gross)
        margin_rate = terms[c].margin_rate
        if margin_rate > 0.0:
            gross = min(gross, (ground.margin_use_max * equity - used_margin) / margin_rate)
        lot_a, lot_b = terms[c].lot_usd_a, terms[c].lot_usd_b
        qty_a = round_lots(gross * terms[c].share_a, lot_a, contract[p, 0, 0], contract[p, 0, 1], contract[p, 0, 2])
        qty_b = round_lots(gross * terms[c].share_b, lot_b, contract[p, 1, 0], contract[p, 1, 1], contract[p, 1, 2])
        if qty_a <= 0.0 or qty_b <= 0.0:
            continue
        holding[p], held_a[p], held_b[p], busy_until[p] = c, qty_a, qty_b, terms[c].exit_ts
        held_gross[p] = qty_a * lot_a + qty_b * lot_b
        held_margin[p] = qty_a * lot_a * contract[p, 0, 3] + qty_b * lot_b * contract[p, 1, 3]
        open_pairs[n_open] = p
        n_open += 1
        taken[count], lots_a[count], lots_b[count], gross_usd[count] = c, qty_a, qty_b, held_gross[p]
        count += 1
    return taken[:count], lots_a[:count], lots_b[:count], gross_usd[:count], equities, open_positions
