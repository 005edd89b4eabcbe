"""A run over some pairs or a shorter history: the configuration as if no more stood in it."""

from __future__ import annotations

from collections.abc import Collection

from core.config.consistency import find_contradictions
from core.config.cost_table import CostTable
from core.config.faults import ConfigurationError, Fault
from core.config.model import ConfigModel
from core.config.settings import Settings
from core.config.sources import Simulator, Sources
from core.config.universe import Pair, Universe

_WHERE = "--pairs, --history-months"


def narrowed(settings: Settings, pairs: Collection[str] | None, history_months: int | None) -> Settings:
    """`settings` with these pairs and this many of the newest months only; None leaves them as they are.

    The pairs keep the universe's order, whatever order they are given in. Symbols stay that are a leg of the pairs,
    convert one to USD, or are simulated together with others (a simulated market is one whole); rows of the cost table
    stay with their symbols.

    Raises:
        ConfigurationError: no pair, a pair the universe does not have, or a period that contradicts the other files.
    """
    if pairs is None and history_months is None:
        return settings
    changes: dict[str, ConfigModel] = {}
    if pairs is not None:
        universe = _universe(settings.universe, settings.sources, pairs)
        changes |= {"universe": universe, "cost_table": _costs(settings.cost_table, universe)}
    if history_months is not None:
        changes["retrain_policy"] = settings.retrain_policy.model_copy(update={"history_months": history_months})
    found = settings.model_copy(update=changes)
    sections = {name: getattr(found, name) for name in Settings.model_fields}
    if faults := find_contradictions(sections, settings.environment.name):
        raise ConfigurationError(faults, _WHERE)
    return found


def _universe(universe: Universe, sources: Sources, pairs: Collection[str]) -> Universe:
    known = [pair.id for pair in universe.pairs]
    faults = [
        Fault("universe.yaml", "pairs", f"pairs of this file, which {pair_id!r} is not; it has {', '.join(known)}")
        for pair_id in sorted(set(pairs) - set(known))
    ]
    if not pairs:
        faults = [Fault("universe.yaml", "pairs", "at least one pair of this file")]
    if faults:
        raise ConfigurationError(faults, _WHERE)
    kept = tuple(pair for pair in universe.pairs if pair.id in pairs)
    names = _needed(universe, sources, kept)
    symbols = {name: symbol for name, symbol in universe.symbols.items() if name in names}
    return universe.model_copy(update={"pairs": kept, "symbols": symbols})


def _needed(universe: Universe, sources: Sources, pairs: Collection[Pair]) -> set[str]:
    names = {leg for pair in pairs for leg in (pair.a, pair.b)}
    for provider in sources.providers:
        if isinstance(provider, Simulator):
            names |= {leg for pair in provider.pairs for leg in (pair.a, pair.b)}
    quotes = {universe.symbols[name].quote for name in names}
    converting = {
        name
        for name, symbol in universe.symbols.items()
        if (symbol.quote == "USD" and symbol.base in quotes) or (symbol.base == "USD" and symbol.quote in quotes)
    }
    return names | converting


def _costs(costs: CostTable, universe: Universe) -> CostTable:
    overrides = {name: row for name, row in costs.overrides.items() if name in universe.symbols}
    return costs.model_copy(update={"overrides": overrides})
