"""What `watch` does again and again."""

from __future__ import annotations

import datetime
from typing import Protocol


class Duty(Protocol):
    """One duty of the watcher."""

    def run(self, now: datetime.datetime) -> None:
        """Do it once. `now` is the watcher's clock, in UTC.

        Raises:
            CoreError: it could not be done now; it is tried again at the next turn, and the other duties go on.
        """
