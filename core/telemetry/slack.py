"""Slack by an incoming webhook."""

from __future__ import annotations

import logging
from http import HTTPStatus
from http.client import HTTPException
from typing import Final

from slack_sdk.webhook import WebhookClient

from core.telemetry.message import Message
from core.telemetry.sender import Delivered, Outcome, Refused, Unanswered, retry_after

LONGEST_TEXT: Final = 3000
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_WEBHOOK_IS_GONE: Final = frozenset(
    {"invalid_token", "no_active_hooks", "no_service", "no_service_id", "no_team", "team_disabled"}
)
"""Answers that refuse the webhook, not the message: no other message would fare better."""

_silent = logging.getLogger(__name__)
_silent.setLevel(logging.CRITICAL)


class SlackSender:
    """Sends messages to the channel each one names, in the payload.

    Args:
        url: the webhook's address, a secret.
        timeout_seconds: of one request.
    """

    def __init__(self, url: str, timeout_seconds: int) -> None:
        self._client = WebhookClient(url, timeout=timeout_seconds, logger=_silent, retry_handlers=[])

    def send(self, message: Message) -> Outcome:
        """Post it once."""
        body = {"channel": message.channel, "text": _text(message)}
        try:
            response = self._client.send_dict(body)
        except (OSError, HTTPException, UnicodeDecodeError) as error:
            return Unanswered(f"Slack does not answer: {type(error).__name__}: {error}")
        said = f"{response.status_code} {response.body[:200]}"
        if response.status_code == HTTPStatus.OK and response.body == "ok":
            return Delivered()
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return Unanswered(f"Slack asks to wait: {said}", retry_after(response.headers.get("Retry-After")))
        if response.status_code in _REFUSALS and response.body not in _WEBHOOK_IS_GONE:
            return Refused(f"Slack refuses the message for {message.channel}: {said}")
        return Unanswered(f"Slack answers {said}")


def _text(message: Message) -> str:
    notification = message.notification
    stamp = notification.occurred_at.isoformat(timespec="seconds")
    words = f"[{message.severity}] {message.escaped}"
    cut = words if len(words) <= LONGEST_TEXT else words[: LONGEST_TEXT - 1] + "…"
    return f"{cut}\n{message.environment} · {notification.event} · {stamp} · event {notification.event_id}"
