"""Dearer trading."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from core.backtest.legs import LegMarket
from core.backtest.stress.pair import StressedPair
from core.config.backtest_policy import CostIncrease as Policy


@dataclass(frozen=True)
class CostIncrease:
    """Each leg's spread, slippage, commission and paid swap times the multiple; swap that is earned stays as it is."""

    policy: Policy

    name: ClassVar[str] = "cost_increase"
    neutral: ClassVar[float] = 1.0

    @property
    def multiples(self) -> tuple[float, ...]:
        return self.policy.multiples

    def intensity(self, multiple: float) -> float:
        """The factor on all costs."""
        return multiple

    def apply(self, pair: StressedPair, multiple: float) -> StressedPair:
        market = pair.market
        return replace(
            pair,
            market=replace(market, leg_a=_dearer(market.leg_a, multiple), leg_b=_dearer(market.leg_b, multiple)),
        )


def _dearer(leg: LegMarket, factor: float) -> LegMarket:
    costs = leg.costs
    raised = {
        "commission_bp": costs.commission_bp * factor,
        "slippage_bp": costs.slippage_bp * factor,
        "spread_bp": costs.spread_bp * factor,
        "swap_long_bp_per_night": _paid(costs.swap_long_bp_per_night, factor),
        "swap_short_bp_per_night": _paid(costs.swap_short_bp_per_night, factor),
    }
    return replace(leg, costs=costs.model_copy(update=raised))


def _paid(swap_bp: float, factor: float) -> float:
    return swap_bp * factor if swap_bp < 0.0 else swap_bp
