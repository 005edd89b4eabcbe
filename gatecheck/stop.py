"""Ctrl-C, `make stop` and a closed terminal end a command by one exception."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final, NoReturn

STOPPED: Final = 130
"""Exit code of a command that was stopped."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """SIGINT, SIGTERM or SIGHUP."""


def raise_on_signals() -> None:
    """From now on the first of them raises StopRequested, and later ones are ignored: stopping takes seconds."""
    for number in _SIGNALS:
        signal.signal(number, _request_stop)


def _request_stop(number: int, frame: FrameType | None) -> NoReturn:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise StopRequested
