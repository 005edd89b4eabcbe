"""The shipped markets, and the configuration each is run with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from core.config.loader import load_settings
from core.config.settings import Settings
from core.config.sources import Simulator
from core.errors import InputError
from gatecheck.config_tree import write_tree
from gatecheck.plan import SHIPPED, Market, markets_of, read_plan
from gatecheck.results import ResultStore, result_key
from tests.fixtures.config_tree import CONFIGS
from tests.unit.gatecheck.test_rates import results_of

PLAN = read_plan(SHIPPED)


def _market(name: str) -> Market:
    return next(each for each in markets_of(PLAN, ("no_edge", "edge", "break_even")) if each.name == name)


def _simulator(settings: Settings) -> Simulator:
    (provider,) = settings.sources.providers
    assert isinstance(provider, Simulator)
    return provider


def test_the_shipped_plan_has_twenty_markets_of_each_truth() -> None:
    counts = Counter(market.group for market in markets_of(PLAN, ("no_edge", "edge", "break_even")))
    assert counts == {"no_edge": 20, "edge": 20, "break_even": 100}
    edge = Counter(market.half_life for market in markets_of(PLAN, ("edge",)))
    assert edge == {30.0: 4, 40.0: 4, 50.0: 4, 60.0: 4, 72.0: 4}
    every = markets_of(PLAN, ("no_edge", "edge", "break_even"))
    assert len({market.name for market in every}) == len({market.seed for market in every}) == 140


def test_groups_and_kinds_are_mixed() -> None:
    first = markets_of(PLAN, ("no_edge", "edge"))[:16]
    assert Counter(market.group for market in first) == {"no_edge": 8, "edge": 8}
    assert len({market.kind.kind for market in first}) >= 10


@pytest.mark.parametrize(
    "name",
    [
        "independent_walks_1001",
        "volatility_clustering_1201",
        "trends_1301",
        "fat_tails_1401",
        "broken_cointegration_1502",
        "half_life_72_2404",
        "break_even_3100",
    ],
)
def test_a_market_changes_the_simulator_and_nothing_the_gate_judges_by(tmp_path: Path, name: str) -> None:
    market = _market(name)
    settings = load_settings(write_tree(PLAN, market, tmp_path), "dev")
    shipped = load_settings(CONFIGS, "dev")
    simulator = _simulator(settings)
    assert simulator.seed == market.seed
    for key, value in market.kind.market.items():
        assert getattr(simulator, key) == value
    for pair in simulator.pairs:
        assert {key: getattr(pair, key) for key in market.kind.pairs} == market.kind.pairs
    for file in ("backtest_policy", "core_policy", "cost_table", "pipeline_policy", "universe"):
        assert getattr(settings, file) == getattr(shipped, file)
    assert settings.retrain_policy == shipped.retrain_policy.model_copy(update={"workers": 1})
    assert simulator.faults == _simulator(shipped).faults


def test_cointegration_breaks_before_the_adoption_window() -> None:
    shipped = load_settings(CONFIGS, "dev")
    assert (_simulator(shipped).start, _simulator(shipped).months) == ("2021-01-01", 37)
    adoption = "2023-02-01"
    assert shipped.retrain_policy.walk_forward.adoption_window_months == 12
    ends = [market.kind.market["cointegration_ends"] for market in markets_of(PLAN, ("no_edge",)) if market.half_life]
    assert len(ends) == 3
    assert all("2022-02-01" < end < adoption for end in ends)


def test_a_smaller_universe_keeps_whole_pairs(tmp_path: Path) -> None:
    few = PLAN.model_copy(update={"pairs": 3})
    settings = load_settings(write_tree(few, _market("trends_1301"), tmp_path), "dev")
    assert len(settings.universe.pairs) == 3
    assert len(settings.universe.symbols) == 6


@pytest.mark.parametrize(
    ("path", "value"),
    [("pairs", 0), ("targets", {}), ("no_edge", [{"kind": "x"}]), ("unknown", 1)],
)
def test_a_wrong_plan_is_refused(tmp_path: Path, path: str, value: object) -> None:
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | {path: value}
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError, match="GATECHECK_PLAN_INVALID"):
        read_plan(file)


def test_keys_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    market = _market("trends_1301")
    with pytest.raises(InputError, match="retrain_policy"):
        write_tree(PLAN.model_copy(update={"settings": {"retrain_policy": {"nothing": 1}}}), market, tmp_path)
    misspelt = Market("x", "no_edge", market.kind.model_copy(update={"market": {"mnths": 3}}), 1)
    with pytest.raises(InputError, match="no key mnths"):
        write_tree(PLAN, misspelt, tmp_path)


def test_a_result_is_known_again_only_with_the_same_code_and_configuration(tmp_path: Path) -> None:
    (result,) = results_of("edge", ["approved"], 30.0)
    store = ResultStore(tmp_path / "results")
    market = Market(result.name, "edge", _market("half_life_30_2001").kind, 1)
    assert store.finished(market, "k") is None
    store.keep(result)
    assert store.finished(market, "k") == result
    assert store.finished(market, "other") is None
    (failed,) = results_of("edge", ["failed"], 30.0)
    store.keep(failed)
    assert store.finished(market, "k") is None


def test_the_key_follows_the_configuration(tmp_path: Path) -> None:
    one, other = (load_settings(write_tree(PLAN, _market(f"trends_{n}"), tmp_path), "dev") for n in (1301, 1302))
    assert result_key(one) != result_key(other)


def test_the_key_follows_the_code_of_the_check_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(CONFIGS, "dev")
    shipped = result_key(settings)
    for file in SHIPPED.parent.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr("gatecheck.results.__file__", str(tmp_path / "results.py"))
    assert result_key(settings) == shipped
    with (tmp_path / "config_tree.py").open("a", encoding="utf-8") as source:
        source.write("# changed\n")
    assert result_key(settings) != shipped
