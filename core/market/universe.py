"""Questions to the universe."""

from __future__ import annotations

from collections.abc import Sequence

from core.config.universe import Calendar, Pair, Universe
from core.errors import InputError
from core.market.fx import fx_route


def calendar_of(universe: Universe, symbol: str) -> Calendar:
    """The trading calendar of a symbol."""
    return universe.calendars[universe.symbols[symbol].calendar]


def select_pairs(universe: Universe, pair_ids: Sequence[str] | None) -> tuple[Pair, ...]:
    """The pairs with these ids in the universe's order; all of them for None. Raises InputError for an unknown id."""
    if pair_ids is None:
        return universe.pairs
    known = {pair.id for pair in universe.pairs}
    unknown = sorted(set(pair_ids) - known)
    if unknown:
        raise InputError(
            "CONFIG_UNIVERSE_UNKNOWN_PAIR",
            f"unknown pair {', '.join(unknown)}",
            where="universe.yaml, pairs",
            remedy=f"use one of {', '.join(sorted(known))}",
        )
    return tuple(pair for pair in universe.pairs if pair.id in set(pair_ids))


def leg_symbols(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The symbols traded by these pairs, sorted, each once."""
    return tuple(sorted({symbol for pair in pairs for symbol in (pair.a, pair.b)}))


def conversion_symbols(universe: Universe, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The symbols whose prices convert these pairs' legs to USD, sorted, each once."""
    routes = (fx_route(universe, universe.symbols[symbol].quote) for symbol in leg_symbols(pairs))
    return tuple(sorted({route.symbol for route in routes if route.symbol is not None}))
