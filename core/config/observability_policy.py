"""observability_policy.yaml: metrics endpoint and notification blocks (SPEC CAT-1, OBS-1)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.config.model import ConfigModel, Name


class Metrics(ConfigModel):
    port: Annotated[int, Field(ge=1024, le=65535)]


class SlackBlock(ConfigModel):
    block_ref: Name


class Notifications(ConfigModel):
    slack: SlackBlock


class ObservabilityPolicy(ConfigModel):
    metrics: Metrics
    notifications: Notifications
