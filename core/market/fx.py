"""Conversion to USD by the universe's own symbols (SPEC BT-2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.config.universe import Universe
from core.errors import InputError
from core.market.bars import epoch_seconds
from core.market.pairs import Floats, Ints

_ACCOUNT: Final = "USD"


@dataclass(frozen=True)
class FxRoute:
    """How a currency becomes USD: by `symbol`'s price, or one over it when `inverted`; no symbol for USD itself."""

    currency: str
    symbol: str | None
    inverted: bool


@dataclass(frozen=True)
class FxRates:
    """USD per unit of a currency at bars' opens and closes, float64 (n,).

    NaN before the first known price. `age_seconds` int64 (n,) says how much earlier than the bar the bar behind
    `close` opened (0: the same bar, −1: no price known).
    """

    open: Floats
    close: Floats
    age_seconds: Ints


def fx_route(universe: Universe, currency: str) -> FxRoute:
    """The symbol that converts `currency` to USD. Raises InputError when the universe has none."""
    if currency == _ACCOUNT:
        return FxRoute(currency, None, inverted=False)
    for name, symbol in universe.symbols.items():
        if (symbol.base, symbol.quote) == (currency, _ACCOUNT):
            return FxRoute(currency, name, inverted=False)
        if (symbol.base, symbol.quote) == (_ACCOUNT, currency):
            return FxRoute(currency, name, inverted=True)
    raise InputError(
        "MARKET_FX_UNCONVERTIBLE",
        f"no symbol converts {currency} to USD",
        where=f"universe.yaml, symbols quoted in {currency}",
        remedy=f"add a symbol such as {currency}USD or USD{currency} to the universe, or take those symbols out",
    )


def usd_rates(route: FxRoute, bars: Mapping[str, pd.DataFrame], ts: Ints) -> FxRates:
    """Rates at the bars opening at `ts` (epoch seconds, sorted, (n,)).

    At a bar's open the rate is the open of the conversion symbol's bar of the same stamp, or its last close before; at
    a bar's close it is the last close known. `bars` holds the conversion symbol's canonical bars by name. Raises
    InputError when they are absent.
    """
    n = ts.shape[0]
    if route.symbol is None:
        return FxRates(np.ones(n), np.ones(n), np.zeros(n, dtype=np.int64))
    if route.symbol not in bars or bars[route.symbol].empty:
        raise InputError(
            "DATA_FX_NO_BARS",
            f"{route.symbol} has no bars, so {route.currency} cannot be converted to USD",
            where=f"symbol {route.symbol}",
            remedy=f"import {route.symbol}, or take the symbols quoted in {route.currency} out of universe.yaml",
        )
    frame = bars[route.symbol]
    stamps = epoch_seconds(frame["ts"])
    last = np.searchsorted(stamps, ts, side="right") - 1
    known = last >= 0
    at = np.maximum(last, 0)
    closes = frame["close"].to_numpy(np.float64)
    same = known & (stamps[at] == ts)
    open_price = np.where(same, frame["open"].to_numpy(np.float64)[at], closes[at])
    return FxRates(
        _rate(open_price, known, route.inverted),
        _rate(closes[at], known, route.inverted),
        np.where(known, ts - stamps[at], -1),
    )


def _rate(price: Floats, known: NDArray[np.bool_], inverted: bool) -> Floats:
    return np.asarray(np.where(known, 1.0 / price if inverted else price, np.nan), dtype=np.float64)
