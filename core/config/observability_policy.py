"""observability_policy.yaml: metrics endpoint, notifications and the watcher (SPEC CAT-1, OBS-1, OBS-2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from core.config.model import ConfigModel, Name, PositiveFloat, PositiveInt

BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s?#@]+$")]


class Metrics(ConfigModel):
    port: Annotated[int, Field(ge=1024, le=65535)]


class SlackBlock(ConfigModel):
    block_ref: Name


class PagerDuty(ConfigModel):
    """`base_url`: where events go, without a path; another one in the EU service region."""

    base_url: BaseUrl


class Notifications(ConfigModel):
    slack: SlackBlock
    pagerduty: PagerDuty


class Backoff(ConfigModel):
    """Seconds between tries: the first, doubled with each further try, never more than the largest."""

    first_seconds: PositiveFloat
    max_seconds: PositiveFloat


class Delivery(ConfigModel):
    """How notifications are delivered (docs/alerts.md).

    `outage` spaces the tries of a target that does not answer, `refused` those of one message it does not take;
    after `suspect_after` unanswered tries of one message another one is tried in between.
    """

    timeout_seconds: PositiveInt
    most_per_pass: PositiveInt
    suspect_after: PositiveInt
    outage: Backoff
    refused: Backoff


class Watch(ConfigModel):
    """The watcher: its duties are done every `interval_seconds`."""

    interval_seconds: PositiveFloat
    delivery: Delivery


class ObservabilityPolicy(ConfigModel):
    metrics: Metrics
    notifications: Notifications
    watch: Watch
