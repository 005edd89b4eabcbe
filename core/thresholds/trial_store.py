"""Where the trials of a search are kept, and how the workers that share them keep out of each other's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial


class TrialStore(Protocol):
    """One study of Optuna and the locks around it.

    A worker claims a trial before it values it. The claim of a worker that died is free: another takes the trial over.
    """

    @property
    def name(self) -> str:
        """Where the trials are, for messages."""

    @property
    def study(self) -> optuna.Study:
        """The study, maximising."""

    def numbering(self) -> AbstractContextManager[None]:
        """Hold while a trial is chosen or added: one worker at a time."""

    def claim(self, number: int, *, wait: bool) -> bool:
        """Claim a trial; False where another worker holds it and `wait` is not set."""

    def release(self, number: int) -> None:
        """Give a claim back."""


class MemoryTrials:
    """Trials of this process alone; gone with it."""

    def __init__(self) -> None:
        self._study = optuna.create_study(direction="maximize")

    @property
    def name(self) -> str:
        return "memory"

    @property
    def study(self) -> optuna.Study:
        return self._study

    @contextmanager
    def numbering(self) -> Iterator[None]:
        yield

    def claim(self, number: int, *, wait: bool) -> bool:
        return True

    def release(self, number: int) -> None:
        return None


def finished(trial: FrozenTrial) -> bool:
    """Whether a trial has its value."""
    return trial.state is optuna.trial.TrialState.COMPLETE
