"""No label window learned from meets one that is validated or predicted (SPEC S6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.market.pairs import Ints
from core.models.fit_record import FitRecord
from core.models.leakage.certificate import Check, conclude
from core.models.leakage.sample_times import SampleTimes
from core.models.walk_forward import StepResult


def check_folds(fits: Mapping[str, FitRecord], times: SampleTimes) -> Check:
    """Every fold of every fit: no training window, widened by purge and embargo, meets a validation window."""
    count, found = 0, []
    for name, record in fits.items():
        for number, fold in enumerate(record.folds, start=1):
            count += fold.train.size * fold.test.size
            meeting = meetings(times, fold.train, fold.test)
            if meeting.any():
                found.append(f"fit {name}, fold {number}: {_told(meeting)} meet a validation window")
    return conclude(
        "windows_cross_validation",
        "label windows of the rows each fold was fitted on, widened by purge and embargo, with those it was scored on",
        count,
        found,
    )


def check_steps(steps: tuple[StepResult, ...], times: SampleTimes) -> Check:
    """Every walk-forward step: what was fitted on, purge included, was known before the step's first decision."""
    count, found = 0, []
    for result in steps:
        train, test = result.record.train, result.at
        count += train.size * test.size
        late = times.purged[train] > result.step.start
        meeting = meetings(times, train, test) > 0
        if (late | meeting).any():
            found.append(f"step {result.step.name}: {_told(late | meeting)} reach into it")
    return conclude(
        "windows_walk_forward",
        "label windows and purge of the rows each step was fitted on, with the step's start and its own windows",
        count,
        found,
    )


def check_final(record: FitRecord, times: SampleTimes, last_close: int) -> Check:
    """The published models: every label was known by the last close there is."""
    late = times.known[record.train] > last_close
    found = [f"{_told(late)} end after the data"] if late.any() else []
    return conclude("windows_final", "label windows of the final fit with the last close", record.train.size, found)


def meetings(times: SampleTimes, train: Ints, test: Ints) -> Ints:
    """How many windows [decided, known] of `test` each widened window [embargoed, purged] of `train` meets."""
    begun = np.searchsorted(np.sort(times.decided[test]), times.purged[train], side="right")
    ended = np.searchsorted(np.sort(times.known[test]), times.embargoed[train], side="left")
    return np.asarray(begun - ended, dtype=np.int64)


def _told(which: np.ndarray) -> str:
    return f"{np.count_nonzero(which)} of {which.size} training windows"
