"""backtest_policy.yaml: capital, daily mark, cost conventions and the adoption limits (SPEC BT-2, BT-4)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.config.model import ConfigModel, NonNegativeFloat, PositiveFloat, PositiveInt, Share, Text

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


class PairedComparison(ConfigModel):
    """Paired block bootstrap of the challenger's annual Sharpe ratio less the deployed model's, one-sided."""

    margin_sharpe: NonNegativeFloat
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
    block_days: PositiveInt
    resamples: Annotated[int, Field(ge=100)]
    moved_days_min: PositiveInt
    unproven_decides: Literal["approve", "reject"]


class DeflatedSharpeLimits(ConfigModel):
    """Least deflated Sharpe ratio on the θ search window and on the adoption window; at 0 it is reported only."""

    search_min: Share
    adoption_min: Share


class OverfittingLimits(ConfigModel):
    """Combinatorially symmetric cross-validation of the θ trials; at 1 a number is reported only."""

    blocks: Annotated[int, Field(ge=4, le=20, multiple_of=2)]
    probability_max: Share
    loss_probability_max: Share


class AdoptionLimits(ConfigModel):
    """Absolute limits, the owner's non-inferiority rule and the statistical tests beside them (SPEC BT-4)."""

    sharpe_min: float
    max_drawdown: Share
    trades_per_year_min: PositiveFloat
    psr_min: Share
    sharpe_ratio_to_deployed_min: PositiveFloat
    max_drawdown_above_deployed: Share
    comparison_days_min: PositiveInt
    observed_days_share_min: Share
    paired: PairedComparison
    deflated_sharpe: DeflatedSharpeLimits
    overfitting: OverfittingLimits


Multiples = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]


class AtrNoise(ConfigModel):
    """Noise on every open and close of each leg: sd = multiple × atr_share × the leg's ATR."""

    atr_share: PositiveFloat
    multiples: Multiples


class CorrelationCollapse(ConfigModel):
    """Stretches in which the legs' returns fall apart at unchanged volatility.

    Noise of multiple × noise_sd of a leg's own return sd takes the place of what the legs share: their correlation ρ
    falls to ρ/(1 + (multiple × noise_sd)²).
    """

    episodes_per_year: PositiveFloat
    episode_bars: PositiveInt
    noise_sd: PositiveFloat
    multiples: Multiples


class CostIncrease(ConfigModel):
    """Spread, slippage, commission and the swap that is paid, times the multiple (1: as cost_table.yaml has them)."""

    multiples: Annotated[tuple[Annotated[float, Field(gt=1.0)], ...], Field(min_length=1)]


class Latency(ConfigModel):
    """Each fill of each leg comes late by multiple × bars tradable bars on average, exponentially distributed."""

    bars: PositiveFloat
    multiples: Multiples


class GapEvents(ConfigModel):
    """Jumps of multiple × atr_multiple × ATR of single legs before an open, against an open position."""

    events_per_year: PositiveFloat
    atr_multiple: PositiveFloat
    multiples: Multiples


class StressPolicy(ConfigModel):
    """What a model's positions must live through on the adoption window (SPEC BT-3).

    `multiples` are those whose numbers are reported. The multiple at which the Sharpe ratio reaches 0 is looked for up
    to `multiple_max` and told to `multiple_precision`, a share of itself.
    """

    multiple_max: Annotated[float, Field(gt=1.0)]
    multiple_precision: Annotated[float, Field(gt=0.0, lt=1.0)]
    atr_noise: AtrNoise
    correlation_collapse: CorrelationCollapse
    cost_increase: CostIncrease
    latency: Latency
    gap_events: GapEvents


class BacktestPolicy(ConfigModel):
    capital: Capital
    daily_mark: DailyMark
    adoption: AdoptionLimits
    stress: StressPolicy
