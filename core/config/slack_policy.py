"""slack_policy.yaml: which channel hears of which severity, and in which words (SPEC OBS-2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from core.config.model import ConfigModel, Text

Channel = Annotated[str, StringConstraints(pattern=r"^#[a-z0-9-]+$")]


class Channels(ConfigModel):
    critical: Channel
    warning: Channel
    info: Channel
    config_changes: Channel


class SlackPolicy(ConfigModel):
    channels: Channels
    templates: dict[str, Text]
