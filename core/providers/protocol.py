"""What every source of bars looks like to the rest of the house (SPEC DATA-1)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal, Protocol

import pandas as pd

from core.config.pipeline_policy import Timeframe


@dataclass(frozen=True)
class FetchedBars:
    """Bars of one symbol as a source delivered them.

    `frame` has RAW_COLUMNS and passes `validate_raw_bars`. `fetched_at` (UTC) is when the source produced them: a
    file's modification time, the last bar's close for a simulated market. `price_side` says what the prices are.
    """

    symbol: str
    frame: pd.DataFrame
    source: str
    fetched_at: datetime.datetime
    price_side: Literal["bid", "mid"]


class MarketDataProvider(Protocol):
    """A source of bars. Nothing downstream sees which one served."""

    @property
    def name(self) -> str:
        """The provider's name in sources.yaml."""

    def has(self, symbol: str) -> bool:
        """Whether this source can serve the symbol."""

    def fetch(self, symbol: str, timeframe: Timeframe) -> FetchedBars:
        """All bars the source has of a symbol. Raises InputError where they are absent or invalid."""
