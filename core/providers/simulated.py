"""The simulated market as a source of bars (SPEC DATA-1)."""

from __future__ import annotations

import datetime
from functools import cache

import pandas as pd

from core.config.pipeline_policy import Timeframe
from core.config.sources import Simulator
from core.config.universe import Universe
from core.errors import InputError
from core.market.bars import validate_raw_bars
from core.market.timeframe import timeframe_seconds
from core.providers.protocol import FetchedBars


class SimulatedSource:
    """A `MarketDataProvider` over the market simulator. The whole market is simulated once a time frame."""

    def __init__(self, config: Simulator, universe: Universe) -> None:
        self._config = config
        self._universe = universe
        self._simulate = cache(self._run)

    @property
    def name(self) -> str:
        return self._config.name

    def has(self, symbol: str) -> bool:
        return any(symbol in (pair.a, pair.b) for pair in self._config.pairs)

    def fetch(self, symbol: str, timeframe: Timeframe) -> FetchedBars:
        """All simulated bars of the symbol. Raises InputError for one the simulator's pairs do not name."""
        if not self.has(symbol):
            raise InputError(
                "DATA_SOURCE_SYMBOL",
                f"the simulated market has no symbol {symbol}",
                where=f"sources.yaml, provider {self.name}, pairs",
                remedy="add a pair with the symbol there, or take the symbol out of universe.yaml",
            )
        frame = self._simulate(timeframe)[symbol]
        seconds = timeframe_seconds(timeframe)
        validate_raw_bars(frame, f"simulated {symbol}", seconds)
        last_close = frame["ts"].iloc[-1].to_pydatetime() + datetime.timedelta(seconds=seconds)
        return FetchedBars(symbol, frame, self.name, last_close, "mid")

    def _run(self, timeframe: Timeframe) -> dict[str, pd.DataFrame]:
        from core.market.simulator.market import simulate  # noqa: PLC0415 - compiled code that a file import never needs

        return simulate(self._config, self._universe, timeframe_seconds(timeframe))
