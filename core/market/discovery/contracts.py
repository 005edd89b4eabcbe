"""Contract facts guessed from a symbol's name and its prices."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.market.pairs import Floats

_MAJORS: Final = ("USD", "EUR", "JPY", "GBP", "CHF", "AUD", "NZD", "CAD")
_OTHERS: Final = (
    "SEK",
    "NOK",
    "DKK",
    "SGD",
    "HKD",
    "CNH",
    "CNY",
    "MXN",
    "ZAR",
    "TRY",
    "PLN",
    "CZK",
    "HUF",
    "ILS",
    "INR",
)
_FIAT: Final = frozenset(_MAJORS + _OTHERS)
_METAL_OUNCES: Final = {"XAU": 100.0, "XAG": 5000.0, "XPT": 100.0, "XPD": 100.0}
_DOLLAR_COINS: Final = ("USDT", "USDC")
_FX_LOT: Final = 100_000.0
_SMALL_ORDER_USD: Final = 100.0
_DUST: Final = 1e-4
_NEARLY_ALL: Final = 0.999


@dataclass(frozen=True)
class ContractGuess:
    """Base, quote and lot of a symbol; `doubts` says in words what is not certain."""

    base: str
    quote: str
    contract_size: float
    lot_step: float
    min_lot: float
    margin_rate: float
    doubts: tuple[str, ...]


def guess_contract(symbol: str, last_price: float) -> ContractGuess:
    """Contract facts of a symbol from its name: two currency codes, a metal, a coin, or anything else quoted in USD."""
    base, quote, doubts = _currencies(symbol)
    if base in _METAL_OUNCES:
        return ContractGuess(base, quote, _METAL_OUNCES[base], 0.01, 0.01, 0.05, doubts)
    if base in _FIAT and quote in _FIAT:
        return ContractGuess(base, quote, _FX_LOT, 0.01, 0.01, 0.0333, doubts)
    step = 10.0 ** min(2, math.floor(math.log10(_SMALL_ORDER_USD / last_price)))
    return ContractGuess(base, quote, 1.0, step, step, 0.2, (*doubts, "one lot is taken as one unit"))


def guess_price_scale(symbol: str, closes: Floats) -> int:
    """Power of ten the prices (n,) of a currency pair were multiplied by.

    0 when they look true, for any other market, and wherever they have decimals: prices in points are whole numbers but
    for the dust of floats.
    """
    base, quote, _ = _currencies(symbol)
    if quote not in _FIAT or base not in _FIAT or np.mean(np.abs(closes - np.rint(closes)) < _DUST) < _NEARLY_ALL:
        return 0
    last_price = float(closes[-1])
    low, high = (20.0, 400.0) if quote == "JPY" else (0.05, 30.0)
    return next((power for power in (0, 5, 3, 4, 2) if low <= last_price / 10**power <= high), 0)


def guess_tick_size(prices: Floats) -> float:
    """The coarsest price grid, 1, 2.5 or 5 times a power of ten, that at least 99.9 % of the prices (n,) lie on."""
    for decimals in range(9):
        units = prices * 10.0**decimals
        whole = np.rint(units)
        if np.mean(np.abs(units - whole) < _DUST) < _NEARLY_ALL:
            continue
        for multiple in (25, 5):
            if np.mean(whole % multiple == 0) >= _NEARLY_ALL and decimals > 0:
                return float(multiple / 10**decimals)
        return float(1.0 / 10**decimals)
    return 1e-8


def _currencies(symbol: str) -> tuple[str, str, tuple[str, ...]]:
    """(base, quote, doubts); a name such as EURUSD.A or ABC_EURUSD is read by the part that is a currency pair."""
    parts = ["".join(filter(str.isalpha, part)) for part in re.split(r"[._]", symbol)]
    for letters in parts:
        if letters[-3:] in _FIAT and (letters[-6:-3] in _FIAT or letters[-6:-3] in _METAL_OUNCES):
            return letters[-6:-3], letters[-3:], ()
    letters = parts[0]
    for coin in _DOLLAR_COINS:
        if letters.endswith(coin) and len(letters) > len(coin):
            return _code(letters[: -len(coin)]), "USD", (f"{coin} is taken as USD",)
    if len(letters) >= 6 and (letters[-3:] in _FIAT or len(letters) == 6):
        return _code(letters[:-3]), letters[-3:], ("base and quote are read from the name",)
    return _code(letters), "USD", ("the name shows no quote currency: USD is assumed",)


def _code(letters: str) -> str:
    return (letters + "XXX")[: max(3, min(5, len(letters)))]
