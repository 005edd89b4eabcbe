"""cost_table.yaml: what trading costs, per symbol (SPEC BT-2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.config.model import ConfigModel, NonNegativeFloat
from core.config.universe import SymbolName, Weekday


class Costs(ConfigModel):
    """All rates in basis points of the leg's notional; a night's swap is paid when negative, earned when positive."""

    commission_bp: NonNegativeFloat
    slippage_bp: NonNegativeFloat
    spread_bp: Annotated[float, Field(ge=0.0, description="quoted spread; each fill pays half")]
    swap_long_bp_per_night: float
    swap_short_bp_per_night: float
    triple_swap_weekday: Weekday
    slippage_hour_factors: Annotated[
        tuple[NonNegativeFloat, ...], Field(min_length=24, max_length=24, description="by UTC hour of the fill")
    ]


class CostTable(ConfigModel):
    """An override replaces the whole row of its symbol."""

    defaults: Costs
    overrides: dict[SymbolName, Costs]
