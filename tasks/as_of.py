"""The instant a task takes for now."""

from __future__ import annotations

import datetime

from core.errors import InputError


def parse_as_of(text: str) -> datetime.datetime:
    """An ISO 8601 instant with its UTC offset, in UTC. Raises InputError for anything else."""
    try:
        instant = datetime.datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InputError(
            "TASK_OPTION_AS_OF",
            f"{text!r} is not an ISO 8601 instant with its offset",
            where="--as-of",
            remedy="write it like 2022-03-04T22:00:00Z",
        )
    return instant.astimezone(datetime.UTC)
