"""slack_policy.yaml: how grave each event is, which channel hears of it, and in which words (SPEC OBS-2)."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from core.config.events import EVENT_FIELDS, Event
from core.config.model import ConfigModel, Text

Channel = Annotated[str, StringConstraints(pattern=r"^#[a-z0-9-]+$")]
Severity = Literal["critical", "warning", "info"]


def placeholders(template: str) -> frozenset[str]:
    """The names a template's braces hold. Raises ValueError where it holds anything but plain names in braces."""
    names: set[str] = set()
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            raise ValueError(f"a plain field name in braces, not {{{name}{'!' if conversion else ''}{form}}}")
        names.add(name)
    return frozenset(names)


def _parsed(template: str) -> str:
    placeholders(template)
    return template


class Channels(ConfigModel):
    """Where each severity goes; `config_changes` hears of applied configurations and models (SPEC REG-2)."""

    critical: Channel
    warning: Channel
    info: Channel
    config_changes: Channel


class EventPolicy(ConfigModel):
    """One event. `channel`: `severity` is the channel of its severity."""

    severity: Severity
    channel: Literal["severity", "config_changes"]
    template: Annotated[Text, AfterValidator(_parsed)]


class SlackPolicy(ConfigModel):
    channels: Channels
    events: dict[Event, EventPolicy]

    @model_validator(mode="after")
    def _every_event_in_its_own_words(self) -> Self:
        if absent := sorted(set(Event) - set(self.events)):
            raise ValueError(f"events: every event of the code; missing: {', '.join(absent)}")
        for event, policy in self.events.items():
            if unknown := sorted(placeholders(policy.template) - EVENT_FIELDS[event]):
                known = ", ".join(sorted(EVENT_FIELDS[event]))
                raise ValueError(f"events.{event}.template: fields of this event ({known}), not {', '.join(unknown)}")
        return self

    def channel(self, event: Event) -> Channel:
        """The Slack channel that hears of the event."""
        policy = self.events[event]
        name = policy.severity if policy.channel == "severity" else policy.channel
        channel: Channel = getattr(self.channels, name)
        return channel
