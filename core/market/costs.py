"""Looking up what a symbol costs to trade (SPEC BT-2)."""

from __future__ import annotations

import numpy as np

from core.config.cost_table import Costs, CostTable
from core.market.pairs import Floats


def costs_of(table: CostTable, symbol: str) -> Costs:
    """The symbol's own row of cost_table.yaml, or the defaults."""
    return table.overrides.get(symbol, table.defaults)


def fill_cost_bp(costs: Costs) -> Floats:
    """Cost of one fill in basis points of its notional by UTC hour, float64 (24,).

    Half the quoted spread, slippage times the hour's factor, and commission; a round trip of one leg is two fills.
    """
    factors = np.array(costs.slippage_hour_factors, dtype=np.float64)
    return 0.5 * costs.spread_bp + costs.slippage_bp * factors + costs.commission_bp
