"""Every event has a place to go and words that use all it carries."""

from __future__ import annotations

import pytest

from core.config.events import EVENT_FIELDS, Event
from core.config.loader import load_settings
from core.config.slack_policy import placeholders
from tests.fixtures.config_tree import CONFIGS

POLICY = load_settings(CONFIGS, "prod").slack_policy


@pytest.mark.parametrize("event", Event)
def test_a_template_uses_exactly_the_fields_the_code_posts(event: Event) -> None:
    assert placeholders(POLICY.events[event].template) == EVENT_FIELDS[event]


@pytest.mark.parametrize(
    ("event", "severity", "channel"),
    [
        (Event.HEARTBEAT_LOST, "critical", "#risk-alerts"),
        (Event.RETRAIN_PAUSED, "warning", "#ml-ops"),
        (Event.VERDICT, "info", "#analytics-info"),
        (Event.MODEL_APPLIED, "info", "#config-changes"),
    ],
)
def test_the_severity_decides_the_channel_but_for_changes(event: Event, severity: str, channel: str) -> None:
    assert (POLICY.events[event].severity, POLICY.channel(event)) == (severity, channel)
