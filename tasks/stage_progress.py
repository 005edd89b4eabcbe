"""The progress of a task that runs other tasks' bodies."""

from __future__ import annotations

from core.telemetry.progress import Progress


class StageProgress:
    """Hands on what a body reports, with the stage it belongs to: ``fits of train (stage 2 of 4)``."""

    def __init__(self, progress: Progress, stage: str) -> None:
        self._progress = progress
        self._stage = stage

    def advance(self, done: int, total: int, unit: str) -> None:
        self._progress.advance(done, total, f"{unit} of {self._stage}")
