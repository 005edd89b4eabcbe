"""The trades of a θ in vectorbt: `Portfolio.from_signals` over one column a pair."""

from __future__ import annotations

import numpy as np
import vectorbt as vbt
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]


class VectorbtTrades:
    """Spread prices (bars, pairs) and the bars at which each pair is entered long, entered short and left.

    One capital a pair, fixed size, no spread, slippage, swap, lot, margin or currency: less work than ours does.
    """

    def __init__(self, price: Matrix, long_in: Flags, long_out: Flags, short_in: Flags, short_out: Flags) -> None:
        self._price = price
        self._signals = {
            "entries": long_in,
            "exits": long_out,
            "short_entries": short_in,
            "short_exits": short_out,
        }

    def run(self) -> int:
        """One evaluation. Returns the number of trades, those still open at the end among them."""
        return int(self._portfolio().trades.count().sum())

    def simulate(self) -> None:
        """The simulation alone, without counting anything."""
        self._portfolio()

    def _portfolio(self) -> vbt.Portfolio:
        return vbt.Portfolio.from_signals(self._price, **self._signals, size=1.0, init_cash=1e6, freq="1h")
