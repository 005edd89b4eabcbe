"""The path of a position from each start: entry, exit, reason and worst moment (FORMULAS.md "Position at t")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.config.core_policy import Decision, Label
from core.features.table import FeatureTable
from core.labels.horizon import last_bars
from core.labels.starts import require_same_bars
from core.market.pairs import Counts, Floats, Ints, PairBars


class ExitReason(IntEnum):
    """Why a position is closed. Where several hold at one close, the first in this order is the reason."""

    CUT_OFF = 0
    REVERTED = 1
    Z_STOP = 2
    LOSS_LIMIT = 3
    HORIZON = 4


_CUT_OFF, _REVERTED, _Z_STOP, _LOSS_LIMIT, _HORIZON = (int(reason) for reason in ExitReason)


@dataclass(frozen=True)
class PositionPaths:
    """One position a start, arrays of length m; bar numbers index the pair's bars, -1 means there is none.

    Attributes:
        start: decision bar t.
        side: int8, −sign(z): +1 buys the spread.
        weight_a: signed share of gross in leg A, side/(1+|β|).
        weight_b: signed share of gross in leg B, −side·β/(1+|β|); |weight_a| + |weight_b| = 1.
        entry: bar whose open fills: the next one after t, in its segment, with no filled leg.
        exit_decision: bar at whose close the exit is decided; -1 when data or segment ends first.
        exit: bar whose open fills the exit: the next one in the segment with no filled leg.
        reason: int8, an `ExitReason`.
        adverse: largest adverse move ≥ 0 in share of gross, on the closes of `entry` … `exit_decision` against the
            entry's opens, no later than the horizon; NaN where the exit is cut off.
    """

    start: Ints
    side: NDArray[np.int8]
    weight_a: Floats
    weight_b: Floats
    entry: Ints
    exit_decision: Ints
    exit: Ints
    reason: NDArray[np.int8]
    adverse: Floats


@dataclass(frozen=True)
class SpreadShift:
    """How far the spread stands from where the features saw it: float64 (n,), in the spread's unit.

    Where `lasting`, a position knows only what changed since its start, and z's window of `window` bars takes the
    change in as it goes; a fleeting shift is there and gone with its bar.
    """

    values: Floats
    lasting: bool
    window: int


def scan_paths(
    bars: PairBars,
    table: FeatureTable,
    starts: Ints,
    label: Label,
    decision: Decision,
    shift: SpreadShift | None = None,
) -> PositionPaths:
    """Follow the position of every start to its exit.

    The exit is decided at the first close, from the entry's bar on, at which one of these holds:

    - z came back: |z| ≤ z_exit; on the frozen path z* within z_exit of zero or beyond it, as AI1's label has it;
    - z ran away: |z| ≥ z_stop;
    - the loss since entry, as a share of gross marked at closes, exceeds loss_limit;
    - M = horizon_bars bars or more have passed since t.

    A filled or spike bar decides nothing: its values lean on the bar after it (SPEC S12), so the next bar decides.

    z is that of the label's path: `rolling`, or `frozen` with β, α, mean and sd of bar t. Return of a leg is
    price/entry price − 1, weighted by its signed weight.

    Args:
        bars, table: one pair.
        starts: int64 (m,) bar indices from `find_starts`.
        label, decision: the policies.
        shift: moves the rolling z that exits see, in sds of the spread; the frozen path reads the bars' own closes.

    Raises:
        ValueError: the table does not belong to these bars.
    """
    require_same_bars(bars, table)
    z, beta = table.column("z"), table.column("beta")
    side = np.where(z[starts] > 0.0, -1.0, 1.0)
    gross = 1.0 + np.abs(beta[starts])
    weight_a, weight_b = side / gross, -side * beta[starts] / gross
    moved = np.zeros(len(bars)) if shift is None else shift.values
    entry, exit_decision, exit_bar, reason, adverse = _walk(
        bars.open_a,
        bars.open_b,
        bars.close_a,
        bars.close_b,
        bars.filled,
        bars.spike,
        last_bars(bars.segment),
        z,
        np.log(bars.close_a),
        np.log(bars.close_b),
        beta,
        table.alpha + table.spread_mean,
        table.spread_sd,
        label.ai1.path == "frozen",
        moved,
        np.cumsum(moved),
        shift is not None and shift.lasting,
        1 if shift is None else shift.window,
        starts,
        weight_a,
        weight_b,
        label.ai1.horizon_bars,
        label.ai1.z_exit,
        decision.z_stop,
        decision.loss_limit,
    )
    return PositionPaths(
        start=starts,
        side=side.astype(np.int8),
        weight_a=weight_a,
        weight_b=weight_b,
        entry=entry,
        exit_decision=exit_decision,
        exit=exit_bar,
        reason=reason,
        adverse=adverse,
    )


@njit(cache=True, error_model="numpy")
def _next_tradable(filled: Counts, after: int, last: int) -> int:
    """First bar in (after, last] with no filled leg, -1 when there is none."""
    for u in range(after + 1, last + 1):
        if filled[u] == 0:
            return u
    return -1


@njit(cache=True, error_model="numpy")
def _seen_shift(shift: Floats, shift_sum: Floats, lasting: bool, window: int, t: int, u: int) -> float:
    """The shift a position started at t sees at u: a lasting one since t, less the mean z's window has of it."""
    if not lasting:
        return float(shift[u])
    known = min(u - t, window)
    taken_in = (shift_sum[u] - shift_sum[u - known] - known * shift[t]) / window
    return float(shift[u] - shift[t] - taken_in)


@njit(cache=True, error_model="numpy")
def _walk(
    open_a: Floats,
    open_b: Floats,
    close_a: Floats,
    close_b: Floats,
    filled: Counts,
    spike: Counts,
    last: Ints,
    z: Floats,
    log_a: Floats,
    log_b: Floats,
    beta: Floats,
    level: Floats,
    sd: Floats,
    frozen: bool,
    shift: Floats,
    shift_sum: Floats,
    lasting: bool,
    window: int,
    starts: Ints,
    weight_a: Floats,
    weight_b: Floats,
    horizon: int,
    z_exit: float,
    z_stop: float,
    loss_limit: float,
) -> tuple[Ints, Ints, Ints, NDArray[np.int8], Floats]:
    """entry, exit_decision, exit, reason, adverse over the starts; `level` is α + mean of the spread."""
    m = starts.shape[0]
    entry = np.full(m, -1, dtype=np.int64)
    exit_decision = np.full(m, -1, dtype=np.int64)
    exit_bar = np.full(m, -1, dtype=np.int64)
    reason = np.full(m, _CUT_OFF, dtype=np.int8)
    adverse = np.full(m, np.nan)
    for k in range(m):
        t = starts[k]
        end = last[t]
        horizon_bar = t + horizon
        first = _next_tradable(filled, t, min(end, horizon_bar))
        if first < 0:
            continue
        entry[k] = first
        sign = 1.0 if z[t] > 0.0 else -1.0
        worst = 0.0
        for u in range(first, end + 1):
            gain = weight_a[k] * (close_a[u] / open_a[first] - 1.0) + weight_b[k] * (close_b[u] / open_b[first] - 1.0)
            if u <= horizon_bar:
                worst = max(worst, -gain)
            if filled[u] != 0 or spike[u] != 0:
                continue
            if frozen:
                distance = sign * (log_a[u] - beta[t] * log_b[u] - level[t]) / sd[t]
            else:
                moved = _seen_shift(shift, shift_sum, lasting, window, t, u)
                distance = abs(z[u]) if moved == 0.0 else abs(z[u] + moved / sd[u])
            if distance <= z_exit:
                reason[k] = _REVERTED
            elif distance >= z_stop:
                reason[k] = _Z_STOP
            elif -gain > loss_limit:
                reason[k] = _LOSS_LIMIT
            elif u >= horizon_bar:
                reason[k] = _HORIZON
            else:
                continue
            exit_decision[k] = u
            exit_bar[k] = _next_tradable(filled, u, end)
            adverse[k] = worst
            break
    return entry, exit_decision, exit_bar, reason, adverse
