"""The trades of a θ on one pair in backtesting.py."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy, backtesting
from numpy.typing import NDArray

# its progress bar is part of neither the work nor the output compared
backtesting._tqdm = lambda bars, **_: bars


class BacktestingTrades:
    """One pair's spread price (bars,), and at each bar −1, 0 or 1: the position to be in from its price on."""

    def __init__(self, price: NDArray[np.float64], position: NDArray[np.int64]) -> None:
        stamps = pd.date_range("2020-01-01", periods=price.size, freq="h")
        frame = pd.DataFrame(dict.fromkeys(("Open", "High", "Low", "Close"), price), index=stamps)
        frame["Wanted"] = position
        self._backtest = Backtest(frame, _Follow, cash=1e6, finalize_trades=True, trade_on_close=True)

    def run(self) -> int:
        """One evaluation. Returns the number of closed trades."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(self._backtest.run()["# Trades"])


class _Follow(Strategy):  # type: ignore[misc]
    def init(self) -> None:
        self._now = 0

    def next(self) -> None:
        wanted = int(self.data.Wanted[-1])
        if wanted != self._now:
            if self._now:
                self.position.close()
            if wanted > 0:
                self.buy(size=1)
            elif wanted < 0:
                self.sell(size=1)
            self._now = wanted
