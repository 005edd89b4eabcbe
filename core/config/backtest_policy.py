"""backtest_policy.yaml: capital, daily mark, cost conventions and the adoption limits (SPEC BT-2, BT-4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.config.model import ConfigModel, PositiveFloat, PositiveInt, Share, Text

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Capital(ConfigModel):
    """One capital for all pairs. Gross of a position = scale × pair_share × equity at the last daily mark."""

    initial_usd: PositiveFloat
    pair_share: Annotated[float, Field(gt=0.0)]
    leverage_max: PositiveFloat
    margin_use_max: Share


class DailyMark(ConfigModel):
    """When a trading day ends: equity is marked and swap is charged."""

    timezone: Text
    time: Clock
    days_per_year: PositiveInt


class AdoptionLimits(ConfigModel):
    """Absolute limits and the owner's non-inferiority rule (SPEC BT-4)."""

    sharpe_min: float
    max_drawdown: Share
    trades_per_year_min: PositiveFloat
    psr_min: Share
    sharpe_ratio_to_deployed_min: PositiveFloat
    max_drawdown_above_deployed: Share
    comparison_days_min: PositiveInt


class BacktestPolicy(ConfigModel):
    capital: Capital
    daily_mark: DailyMark
    adoption: AdoptionLimits
