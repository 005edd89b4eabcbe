"""A configuration narrowed to some pairs and a shorter history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.consistency import find_contradictions
from core.config.faults import ConfigurationError
from core.config.loader import load_settings
from core.config.narrowing import narrowed
from core.config.run_configuration import narrowing_of, run_configuration
from core.config.settings import Settings
from core.market.universe import conversion_symbols, leg_symbols
from core.stores.files import sha256_json
from tests.fixtures.config_tree import CONFIGS

ENVIRONMENTS = {name: load_settings(CONFIGS, name) for name in ("dev", "prod")}


def _hash(settings: Settings) -> str:
    return sha256_json(run_configuration(settings))


@given(environment=st.sampled_from(sorted(ENVIRONMENTS)), data=st.data())
def test_any_pairs_give_a_consistent_configuration_whatever_order_they_come_in(
    environment: str, data: st.DataObject
) -> None:
    settings = ENVIRONMENTS[environment]
    ids = [pair.id for pair in settings.universe.pairs]
    chosen = data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    found = narrowed(settings, chosen, None)
    universe = found.universe
    assert [pair.id for pair in universe.pairs] == [pair_id for pair_id in ids if pair_id in chosen]
    assert set(leg_symbols(universe.pairs)) <= set(universe.symbols)
    wanted = conversion_symbols(settings.universe, universe.pairs)
    assert conversion_symbols(universe, universe.pairs) == wanted
    assert all(universe.symbols[name] == settings.universe.symbols[name] for name in universe.symbols)
    assert find_contradictions({name: getattr(found, name) for name in Settings.model_fields}, environment) == []
    assert _hash(narrowed(settings, [*reversed(chosen), chosen[0]], None)) == _hash(found)
    untouched = set(Settings.model_fields) - {"universe", "cost_table"}
    assert all(getattr(found, name) is getattr(settings, name) for name in untouched)


def test_symbols_and_costs_that_serve_no_pair_go() -> None:
    settings = ENVIRONMENTS["prod"]
    first = settings.universe.pairs[0]
    costs = settings.cost_table
    rows = dict.fromkeys(settings.universe.symbols, costs.defaults)
    settings = settings.model_copy(update={"cost_table": costs.model_copy(update={"overrides": rows})})
    found = narrowed(settings, [first.id], None)
    assert {first.a, first.b} <= set(found.universe.symbols) < set(settings.universe.symbols)
    assert set(found.cost_table.overrides) == set(found.universe.symbols)


def test_a_simulated_market_stays_whole() -> None:
    """Its symbols' random numbers go by their place among its pairs."""
    settings = ENVIRONMENTS["dev"]
    found = narrowed(settings, [settings.universe.pairs[3].id], None)
    assert found.universe.symbols == settings.universe.symbols


def test_fewer_months_are_another_run_and_nothing_narrowed_is_the_same() -> None:
    settings = ENVIRONMENTS["dev"]
    assert narrowed(settings, None, None) is settings
    shorter = narrowed(settings, None, 30)
    assert shorter.retrain_policy.history_months == 30
    assert narrowing_of(run_configuration(shorter)).history_months == 30
    assert _hash(shorter) != _hash(settings)
    assert _hash(narrowed(settings, None, settings.retrain_policy.history_months)) == _hash(settings)


@pytest.mark.parametrize("pairs", [["XXX-YYY"], ["ALDUSD-ASHUSD", "XXX-YYY"], [""]])
def test_a_pair_the_universe_does_not_have_is_named(pairs: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=rf"universe\.yaml: pairs: .*{pairs[-1]!r}.*ALDUSD-ASHUSD"):
        narrowed(ENVIRONMENTS["dev"], pairs, None)


def test_no_pair_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one pair"):
        narrowed(ENVIRONMENTS["dev"], [], None)


@pytest.mark.parametrize(("months", "found"), [(25, "at least 3 months"), (0, "at least 3"), (999, "at most history")])
def test_a_period_that_is_too_short_or_too_long_is_named(months: int, found: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"retrain_policy\.yaml: history_months: .*{found}"):
        narrowed(ENVIRONMENTS["dev"], None, months)
