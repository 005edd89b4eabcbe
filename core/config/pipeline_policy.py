"""pipeline_policy.yaml: time frames, history, freshness and data-quality thresholds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.config.model import ConfigModel, NonNegativeInt, PositiveFloat, PositiveInt, Share

Timeframe = Literal["1m", "5m", "15m", "1h", "4h", "1d"]


class DqThresholds(ConfigModel):
    """Limits of the data-quality rules (SPEC DATA-3). Statistics look backwards only (S12)."""

    max_filled_gap_bars: NonNegativeInt
    outlier_sigma: PositiveFloat
    outlier_window_bars: Annotated[int, Field(ge=20)]
    outlier_min_bars: Annotated[int, Field(ge=20)]
    max_unfilled_gaps: NonNegativeInt
    missing_rate: Share
    outlier_rate: Share
    min_partition_bars: PositiveInt
    min_history_bars: PositiveInt
    owner: str


class PipelinePolicy(ConfigModel):
    timeframe_default: Timeframe
    timeframe_allowed: tuple[Timeframe, ...]
    history_lookback_months: PositiveInt
    retry_max: NonNegativeInt
    freshness_budget_seconds: dict[Timeframe, PositiveInt]
    dq_thresholds: DqThresholds
