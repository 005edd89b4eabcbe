"""What one leg of each candidate position earns and costs, per lot, in USD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from core.config.cost_table import Costs, CostTable
from core.config.universe import Symbol, Universe
from core.market.costs import costs_of
from core.market.fx import fx_route, usd_rates
from core.market.pairs import Floats, Ints
from core.signals.sizing import round_price

_BP = 1e-4
_HOUR = 3600


@dataclass(frozen=True)
class LegMarket:
    """One leg's prices and terms over the bars of its pair.

    `open`, `close` are float64 (n,) in quote currency; `usd_open`, `usd_close` (n,) the USD one unit of quote currency
    is worth as of each bar's open and close, `usd_age` int64 (n,) how many seconds before the bar that price's own bar
    opened (−1: no price yet). `symbol` and `costs` are the leg's contract facts and cost row.
    """

    symbol: Symbol
    costs: Costs
    open: Floats
    close: Floats
    usd_open: Floats
    usd_close: Floats
    usd_age: Ints

    @classmethod
    def of(
        cls,
        universe: Universe,
        cost_table: CostTable,
        symbol: str,
        prices: tuple[Floats, Floats],
        conversion: Mapping[str, pd.DataFrame],
        ts: Ints,
    ) -> LegMarket:
        """A leg from configuration: `prices` are its opens and closes at the bars opening at `ts`, `conversion` the
        canonical bars of the symbols that convert to USD, by name.

        Raises:
            InputError: its quote currency cannot be converted.
        """
        facts = universe.symbols[symbol]
        rates = usd_rates(fx_route(universe, facts.quote), conversion, ts)
        return cls(facts, costs_of(cost_table, symbol), *prices, rates.open, rates.close, rates.age_seconds)


@dataclass(frozen=True)
class LegResults:
    """Per candidate (m,), for one lot traded in the leg's direction; money in USD.

    `lot_usd` is a lot's notional at the decision bar's close, `entry_price` and `exit_price` are the fills with half
    the spread, slippage and tick rounding in them. `move` is the price move from open to open at the FX of the exit
    bar, `cost` what both fills cost (price concession and commission, each at the FX of its bar), `swap` the swap paid
    for all nights held (negative: earned). `marks` is flat (sum of marks per candidate): the unrealised result at each
    daily mark, entry costs and swap so far taken off; 0 before the leg is filled, its net result after it is closed.
    """

    lot_usd: Floats
    entry_price: Floats
    exit_price: Floats
    move: Floats
    cost: Floats
    swap: Floats
    marks: Floats


@dataclass(frozen=True)
class Fills:
    """Where one leg of each candidate (m,) of a pair is filled.

    `start`, `entry`, `exit` are bar indices; `exit_at_close` marks an exit at the close of the last bar there is (the
    data end) instead of at an open. `entry_ts`, `exit_ts` are the fills' moments, epoch seconds UTC. The rest is flat
    over the daily marks at which the candidate holds either leg, in order, and the same for both legs: `mark_ts` the
    mark's moment, `mark_bar` the last bar known at it, `mark_index` its place in the grid of marks; `mark_start`
    (m + 1,) slices them.
    """

    start: Ints
    entry: Ints
    exit: Ints
    exit_at_close: NDArray[np.bool_]
    entry_ts: Ints
    exit_ts: Ints
    mark_ts: Ints
    mark_bar: Ints
    mark_index: Ints
    mark_start: Ints


def price_leg(leg: LegMarket, weight: Floats, fills: Fills, nights: Floats) -> LegResults:
    """Earnings and costs of one leg for every candidate of a pair.

    Args:
        leg: prices, FX and terms.
        weight: signed leg weight (m,); its sign is the direction.
        fills: where candidates are filled and marked.
        nights: swap nights charged at each daily mark of the whole grid (k,).
    """
    count = fills.start.shape[0]
    lot_usd, entry_price, exit_price = np.empty(count), np.empty(count), np.empty(count)
    move, cost, swap = np.empty(count), np.empty(count), np.empty(count)
    marks = np.empty(fills.mark_bar.shape[0])
    costs, symbol = leg.costs, leg.symbol
    _price(
        leg.open,
        leg.close,
        leg.usd_open,
        leg.usd_close,
        np.where(weight >= 0.0, 1.0, -1.0),
        fills.start,
        fills.entry,
        fills.exit,
        fills.exit_at_close,
        fills.entry_ts,
        fills.exit_ts,
        fills.mark_ts,
        fills.mark_bar,
        fills.mark_index,
        fills.mark_start,
        nights,
        symbol.contract_size,
        symbol.tick_size,
        costs.spread_bp,
        costs.slippage_bp,
        np.array(costs.slippage_hour_factors),
        costs.commission_bp,
        costs.swap_long_bp_per_night,
        costs.swap_short_bp_per_night,
        lot_usd,
        entry_price,
        exit_price,
        move,
        cost,
        swap,
        marks,
    )
    return LegResults(lot_usd, entry_price, exit_price, move, cost, swap, marks)


@njit(cache=True, error_model="numpy")
def fill_price(
    price: float, buys: bool, spread_bp: float, slippage_bp: float, hour_factor: float, tick_size: float
) -> float:
    """The price of a fill: half the quoted spread and the hour's slippage against the trader, then the tick grid."""
    concession = (0.5 * spread_bp + slippage_bp * hour_factor) * _BP
    return float(round_price(price * (1.0 + concession if buys else 1.0 - concession), tick_size, buys))


@njit(cache=True, error_model="numpy")
def _price(
    opens: Floats,
    closes: Floats,
    usd_open: Floats,
    usd_close: Floats,
    side: Floats,
    start: Ints,
    entry: Ints,
    exit_bar: Ints,
    exit_at_close: NDArray[np.bool_],
    entry_ts: Ints,
    exit_ts: Ints,
    mark_ts: Ints,
    mark_bar: Ints,
    mark_index: Ints,
    mark_start: Ints,
    nights: Floats,
    contract: float,
    tick: float,
    spread_bp: float,
    slippage_bp: float,
    hour_factors: Floats,
    commission_bp: float,
    swap_long_bp: float,
    swap_short_bp: float,
    lot_usd: Floats,
    entry_price: Floats,
    exit_price: Floats,
    move: Floats,
    cost: Floats,
    swap: Floats,
    marks: Floats,
) -> None:
    for i in range(start.shape[0]):
        t, e, x, s = start[i], entry[i], exit_bar[i], side[i]
        lot_usd[i] = closes[t] * contract * usd_close[t]

        entry_open, entry_fx = opens[e], usd_open[e]
        factor = hour_factors[entry_ts[i] // _HOUR % 24]
        entry_price[i] = fill_price(entry_open, s > 0.0, spread_bp, slippage_bp, factor, tick)
        entry_cost = (abs(entry_price[i] - entry_open) + commission_bp * _BP * entry_price[i]) * contract * entry_fx

        exit_raw = closes[x] if exit_at_close[i] else opens[x]
        exit_fx = usd_close[x] if exit_at_close[i] else usd_open[x]
        factor = hour_factors[exit_ts[i] // _HOUR % 24]
        exit_price[i] = fill_price(exit_raw, s < 0.0, spread_bp, slippage_bp, factor, tick)
        exit_cost = (abs(exit_price[i] - exit_raw) + commission_bp * _BP * exit_price[i]) * contract * exit_fx

        move[i] = s * (exit_raw - entry_open) * contract * exit_fx
        cost[i] = entry_cost + exit_cost

        charged = 0.0
        swap_bp = swap_long_bp if s > 0.0 else swap_short_bp
        for j in range(mark_start[i], mark_start[i + 1]):
            if mark_ts[j] <= entry_ts[i]:
                marks[j] = 0.0
                continue
            if mark_ts[j] > exit_ts[i]:
                marks[j] = move[i] - cost[i] - charged
                continue
            b = mark_bar[j]
            if b < e:
                price, fx = entry_open, entry_fx
            else:
                price, fx = closes[b], usd_close[b]
            charged -= swap_bp * _BP * nights[mark_index[j]] * price * contract * fx
            marks[j] = s * (price - entry_open) * contract * fx - entry_cost - charged
        swap[i] = charged
