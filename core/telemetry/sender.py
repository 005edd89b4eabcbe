"""How a target takes a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.telemetry.message import Message


@dataclass(frozen=True)
class Delivered:
    """The target has it."""


@dataclass(frozen=True)
class Withheld:
    """It is not meant for the target, and never will be."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The target answers and does not take this message; others it may take."""

    reason: str


@dataclass(frozen=True)
class Unanswered:
    """The target takes nothing now, as far as one can tell; `retry_after` seconds where it says so itself."""

    reason: str
    retry_after: float | None = None


Outcome = Delivered | Withheld | Refused | Unanswered


class Sender(Protocol):
    """Sends to one target, once; trying again is the delivery's business."""

    def send(self, message: Message) -> Outcome:
        """Try it. No reason names the target's address, which is a secret."""


class Unaddressed:
    """A target whose address the environment does not list."""

    def __init__(self, variable: str, environment: str) -> None:
        self._reason = f"{variable} is not among the required variables of {environment}"

    def send(self, message: Message) -> Outcome:
        """Withhold it."""
        return Withheld(self._reason)


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header; None where there is none or it is a date."""
    return float(header) if header is not None and header.isdecimal() else None
