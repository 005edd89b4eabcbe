"""analytics_policy.yaml: caching and refresh of the analytics API and dashboard (SPEC ANA-1, ANA-3)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.config.model import ConfigModel, PositiveInt


class AnalyticsPolicy(ConfigModel):
    cache_ttl_seconds: PositiveInt
    refresh_seconds: Annotated[int, Field(ge=10, le=60)]
