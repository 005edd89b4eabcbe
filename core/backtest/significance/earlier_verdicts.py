"""Earlier verdicts that have looked at the same bars: each is a try, and the best of many tries looks good by luck."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class EarlierVerdict:
    """A verdict that stands: `start` and `end` of its adoption window (epoch seconds UTC), its annual Sharpe there."""

    model_version: str
    start: int
    end: int
    sharpe: float


def overlapping(verdicts: Iterable[EarlierVerdict], start: int, end: int) -> tuple[EarlierVerdict, ...]:
    """Those whose adoption window shares bars with [start, end), in order of version."""
    shared = [verdict for verdict in verdicts if verdict.start < end and start < verdict.end]
    return tuple(sorted(shared, key=lambda verdict: verdict.model_version))
