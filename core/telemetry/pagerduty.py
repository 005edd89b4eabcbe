"""PagerDuty by its Events API v2: critical events open an incident, one a notification's key."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any, Final

import pagerduty

from core.telemetry.message import Message
from core.telemetry.sender import Delivered, Outcome, Refused, Unanswered, Withheld, retry_after

LONGEST_SUMMARY: Final = 1024
LONGEST_KEY: Final = 255
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class _OneTry(pagerduty.EventsApiV2Client):
    """The library's client without its own tries, which sleep in the caller, and for any base URL."""

    max_network_attempts = 0

    def postprocess(self, response: Any) -> None:
        """Raise for every answer but success, before the client would try again."""
        if not response.is_success:
            raise pagerduty.HttpError(f"{response.status_code} {response.text[:300]}", response)

    @property
    def url(self) -> str:
        return self._base_url_as_given

    @url.setter
    def url(self, base_url: str) -> None:
        self._base_url_as_given = base_url


class PagerDutySender:
    """Triggers an incident for critical messages and withholds the others.

    Args:
        routing_key: the integration key, a secret.
        base_url: of the Events API, without a path.
        timeout_seconds: of one request.
    """

    def __init__(self, routing_key: str, base_url: str, timeout_seconds: int) -> None:
        self._client = _OneTry(routing_key, base_url=base_url)
        self._client.timeout = timeout_seconds

    def send(self, message: Message) -> Outcome:
        """Trigger it once; PagerDuty keeps one incident of all triggers with one key."""
        if message.severity != "critical":
            return Withheld(f"{message.severity} is not paged")
        notification = message.notification
        try:
            self._client.trigger(
                summary=message.text[:LONGEST_SUMMARY],
                source=f"ml-assets-core {message.environment}",
                dedup_key=_dedup_key(notification.key),
                severity=message.severity,
                payload={"timestamp": notification.occurred_at.isoformat(), "class": notification.event},
                custom_details={
                    "event_id": str(notification.event_id),
                    "occurred_at": notification.occurred_at.isoformat(),
                    "details": dict(notification.fields),
                },
            )
        except pagerduty.Error as error:
            return _failed(error)
        return Delivered()


def _failed(error: pagerduty.Error) -> Outcome:
    response = error.response
    if response is None:
        return Unanswered(f"PagerDuty does not answer: {type(error.__cause__ or error).__name__}")
    if response.status_code in _REFUSALS:
        return Refused(f"PagerDuty refuses the event: {error}")
    return Unanswered(f"PagerDuty answers {error}", retry_after(response.headers.get("Retry-After")))


def _dedup_key(key: str) -> str:
    """The notification's key, or its hash where PagerDuty takes none so long."""
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()
