"""Conversion to USD, costs and questions to the universe."""

from __future__ import annotations

import numpy as np
import pytest

from core.config.cost_table import CostTable
from core.config.universe import Universe
from core.errors import InputError
from core.market.costs import costs_of, fill_cost_bp
from core.market.fx import FxRoute, fx_route, usd_rates
from core.market.universe import conversion_symbols, leg_symbols, select_pairs
from tests.unit.market.examples import HOUR, canonical, settings

BASE = settings("prod")


def test_routes_of_the_base_universe() -> None:
    assert fx_route(BASE.universe, "USD") == FxRoute("USD", None, inverted=False)
    assert fx_route(BASE.universe, "GBP") == FxRoute("GBP", "GBPUSD", inverted=False)
    assert fx_route(BASE.universe, "JPY") == FxRoute("JPY", "USDJPY", inverted=True)


def test_every_symbol_of_the_shipped_universes_converts() -> None:
    for environment in ("dev", "prod"):
        universe = settings(environment).universe
        for symbol in universe.symbols.values():
            fx_route(universe, symbol.quote)


def test_a_currency_without_a_route_is_an_error() -> None:
    symbols = {name: symbol for name, symbol in BASE.universe.symbols.items() if name != "GBPUSD"}
    with pytest.raises(InputError, match="MARKET_FX_UNCONVERTIBLE"):
        fx_route(BASE.universe.model_copy(update={"symbols": symbols}), "GBP")


def test_rates_take_the_bar_itself_or_the_last_close_before() -> None:
    bars = canonical([HOUR, 2 * HOUR, 4 * HOUR], [0, 0, 0])
    bars["open"] = [100.0, 110.0, 125.0]
    bars["close"] = [105.0, 120.0, 160.0]
    ts = np.array([0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR], dtype=np.int64)
    rates = usd_rates(FxRoute("JPY", "USDJPY", inverted=True), {"USDJPY": bars}, ts)
    assert 1.0 / rates.open == pytest.approx([np.nan, 100.0, 110.0, 120.0, 125.0], nan_ok=True)
    assert 1.0 / rates.close == pytest.approx([np.nan, 105.0, 120.0, 120.0, 160.0], nan_ok=True)
    assert rates.age_seconds.tolist() == [-1, 0, 0, HOUR, 0]
    direct = usd_rates(FxRoute("GBP", "GBPUSD", inverted=False), {"GBPUSD": bars}, ts[1:])
    assert direct.close.tolist() == [105.0, 120.0, 120.0, 160.0]
    dollars = usd_rates(FxRoute("USD", None, inverted=False), {}, ts)
    assert (dollars.open.tolist(), dollars.close.tolist()) == ([1.0] * 5, [1.0] * 5)


def test_rates_without_bars_are_an_error() -> None:
    with pytest.raises(InputError, match="DATA_FX_NO_BARS"):
        usd_rates(FxRoute("JPY", "USDJPY", inverted=True), {}, np.array([0], dtype=np.int64))


def test_a_fill_pays_half_the_spread_slippage_by_hour_and_commission() -> None:
    row = costs_of(BASE.cost_table, "USDJPY").model_dump() | {
        "spread_bp": 2.0,
        "slippage_bp": 0.5,
        "commission_bp": 0.25,
    }
    factors = [1.0] * 21 + [3.0] + [1.0] * 2
    table = CostTable.model_validate({"defaults": row | {"slippage_hour_factors": tuple(factors)}, "overrides": {}})
    cost = fill_cost_bp(costs_of(table, "ANY"))
    assert (cost[0], cost[21]) == (1.75, 2.75)


@pytest.mark.parametrize("pair", BASE.universe.pairs, ids=lambda pair: str(pair.id))
def test_a_round_trip_of_both_legs_costs_what_the_market_asks(pair: object) -> None:
    legs = (pair.a, pair.b)  # type: ignore[attr-defined]
    round_trip = sum(2.0 * float(fill_cost_bp(costs_of(BASE.cost_table, leg))[8:20].mean()) for leg in legs)
    low, high = (3.0, 6.0) if "XAUUSD" in legs else (2.0, 5.0)
    assert low <= round_trip <= high


def test_the_simulated_market_costs_one_and_a_half_points_of_gross() -> None:
    costs = settings("dev").cost_table
    assert 2.0 * float(fill_cost_bp(costs.defaults).mean()) == pytest.approx(1.5, abs=0.05)


def test_pairs_are_selected_in_the_order_of_the_universe() -> None:
    universe: Universe = BASE.universe
    assert select_pairs(universe, None) == universe.pairs
    chosen = select_pairs(universe, ["XAUUSD-USDJPY", "EURJPY-GBPJPY"])
    assert [pair.id for pair in chosen] == ["EURJPY-GBPJPY", "XAUUSD-USDJPY"]
    assert leg_symbols(chosen) == ("EURJPY", "GBPJPY", "USDJPY", "XAUUSD")
    assert conversion_symbols(universe, chosen) == ("USDJPY",)
    with pytest.raises(InputError, match="unknown pair NONE"):
        select_pairs(universe, ["NONE"])
