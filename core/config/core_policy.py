"""core_policy.yaml: features, labels, decision, position size, signals and the θ search."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config.model import (
    ConfigModel,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
)

Window = Annotated[int, Field(ge=2)]
FeatureName = Literal[
    "beta",
    "spread",
    "z",
    "dz",
    "z_ema",
    "speed",
    "atr_a",
    "atr_b",
    "atr_ratio",
    "atr_spread",
    "half_life",
    "rho_rolling",
    "rho_var",
    "beta_stability",
    "ema_gap_spread",
    "slope_spread",
    "rsi_spread",
    "dd_recent",
    "filled_share",
    "spike_share",
]
"""Columns of the feature set, in the order every table and exported file has them (FORMULAS.md)."""


class FeatureWindows(ConfigModel):
    """Window lengths in bars; each name is that of the column it shapes (FORMULAS.md)."""

    beta: Window
    z: Window
    z_ema: Window
    speed: Window
    atr: Window
    atr_ratio: Window
    half_life: Window
    half_life_max: PositiveFloat
    rho: Window
    rho_var: Window
    beta_stability: Window
    beta_mean_floor: PositiveFloat
    ema_fast: Window
    ema_slow: Window
    slope: Window
    rsi: Window
    dd_recent: Window
    quality: Window


class Scaling(ConfigModel):
    """Robust scaling (x − median)/(mad_factor·MAD), clipped to ±clip for the names in `clipped`."""

    mad_factor: PositiveFloat
    clip: PositiveFloat
    clipped: tuple[FeatureName, ...]


class Ai1Label(ConfigModel):
    """Reversion label (SPEC LAB-1, S11)."""

    z_entry: PositiveFloat
    z_exit: PositiveFloat
    horizon_bars: PositiveInt
    speed_max: PositiveFloat
    path: Literal["rolling", "frozen"]


class Ai2Label(ConfigModel):
    """Risk label over the holding period (SPEC LAB-2, S7)."""

    rho_var_max: PositiveFloat
    atr_ratio_max: PositiveFloat
    speed_max: PositiveFloat
    dd_recent_max: PositiveFloat
    class_weight_max: PositiveFloat


class Ai3Label(ConfigModel):
    """Adverse-excursion quantile (SPEC S8)."""

    quantile: Annotated[float, Field(gt=0.5, lt=1.0)]


class Label(ConfigModel):
    ai1: Ai1Label
    ai2: Ai2Label
    ai3: Ai3Label


class Decision(ConfigModel):
    """Entry limits of the decision and exit rules of the position (FORMULAS.md)."""

    z_stop: PositiveFloat
    loss_limit: Annotated[float, Field(gt=0.0, le=1.0, description="share of the position's gross")]


class PositionScale(ConfigModel):
    """position_scale = risk_budget / predicted excursion, clipped to [minimum, maximum] (SPEC S8)."""

    risk_budget: PositiveFloat
    minimum: NonNegativeFloat
    maximum: PositiveFloat

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("minimum must not exceed maximum")
        return self


class SignalPolicy(ConfigModel):
    """How long a signal lives and how far back the one-shot inference looks."""

    valid_bars: PositiveInt
    scan_bars: PositiveInt
    stale_threshold_seconds: PositiveInt


class ThetaRange(ConfigModel):
    theta1: tuple[Share, Share]
    theta2: tuple[Share, Share]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, (low, high) in (("theta1", self.theta1), ("theta2", self.theta2)):
            if low >= high:
                raise ValueError(f"{name}: the lower bound must be below the upper bound")
        return self


class ThetaObjective(ConfigModel):
    """Penalty weights and limits of the θ objective (SPEC TH-2)."""

    lambda_drawdown: NonNegativeFloat
    lambda_trades: NonNegativeFloat
    lambda_false_positive: NonNegativeFloat
    max_drawdown: Share
    trades_per_year_min: PositiveFloat


class ThetaSearch(ConfigModel):
    """Coarse grid, then Optuna (SPEC TH-1), then the stabiliser (SPEC TH-3)."""

    grid_points: Annotated[int, Field(ge=2)]
    trials: Annotated[int, Field(ge=50, le=100, description="most proposals of TPE, after the grid")]
    early_stop_trials: PositiveInt
    min_candidates: NonNegativeInt
    step_max: PositiveFloat
    ewma_previous: Share
    confidence: Share
    bootstrap_resamples: PositiveInt
    bootstrap_block_days: PositiveInt
    candidates_kept: PositiveInt
    surface_points: Annotated[int, Field(ge=2, description="values of θ1 and of θ2 the whole surface is drawn at")]


class CorePolicy(ConfigModel):
    theta1_initial: Share
    theta2_initial: Share
    theta_search_range: ThetaRange
    theta_objective: ThetaObjective
    theta_search: ThetaSearch
    feature_windows: FeatureWindows
    model_inputs: Annotated[tuple[FeatureName, ...], Field(min_length=1)]
    scaling: Scaling
    label: Label
    decision: Decision
    position_scale: PositionScale
    signal: SignalPolicy
