"""Which months are learned from, searched and judged (SPEC S9, TRN-1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from core.config.retrain_policy import WalkForward
from core.errors import BlockedError
from core.features.table import FeatureTable
from core.market.pairs import Ints

_DAY: Final = 86_400
_EPOCH_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday; Monday is 0."""
_LONGEST_CLOSURE: Final = 7 * _DAY
"""No market closes for longer: a wider hole is data left out, and its time is not learned from."""


@dataclass(frozen=True)
class Step:
    """One walk-forward step: predicts starts with start ≤ ts < end (epoch seconds UTC of bar opens).

    `name` is the calendar month (YYYY-MM, UTC) in which it starts.
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Windows:
    """Boundaries in epoch seconds UTC of bar opens; every window holds start ≤ ts < end.

    Bars before `first_prediction` are learned from only. The θ search sees [theta_start, theta_end), adoption is
    judged on [adoption_start, adoption_end), the newest months. `steps` tile [first_prediction, adoption_end).
    """

    first_prediction: int
    theta_start: int
    theta_end: int
    adoption_start: int
    adoption_end: int
    steps: tuple[Step, ...]


def usable_opens(tables: Iterable[FeatureTable]) -> Ints:
    """Opens (epoch seconds UTC, int64, sorted, unique) of bars at which some pair's features are complete."""
    complete = [table.ts[np.isfinite(table.values).all(axis=1)] for table in tables]
    return np.unique(np.concatenate(complete))


def weekdays_observed(usable: Ints, start: int, end: int) -> int:
    """Days from Monday to Friday (UTC) with a usable bar that opens in [start, end), epoch seconds UTC."""
    days = np.unique(usable[(usable >= start) & (usable < end)] // _DAY)
    return int(np.count_nonzero((days + _EPOCH_WEEKDAY) % 7 < 5))


def plan_windows(usable: Ints, timeframe_seconds: int, policy: WalkForward) -> Windows:
    """Cut a history into its windows.

    The first learning period holds `first_training_days` days of usable bars; time in which data was left out does not
    count. Adoption is the `adoption_window_months` calendar months before the last bar's close. Steps are calendar
    months (UTC), the first one starting with the first prediction.

    Args:
        usable: int64, from `usable_opens` over all pairs.
        timeframe_seconds: length of a bar.
        policy: the walk-forward policy.

    Raises:
        BlockedError: MODEL_HISTORY_SHORT when no time is left between first learning and adoption.
    """
    needed = policy.first_training_days * _DAY
    gaps = np.diff(usable)
    learned = np.concatenate(([0], np.cumsum(np.where(gaps > _LONGEST_CLOSURE, timeframe_seconds, gaps))))
    first = int(np.searchsorted(learned, needed))
    if usable.size == 0 or first >= usable.size:
        raise _too_short(f"{learned[-1] / _DAY if usable.size else 0:.0f} days of usable bars", policy)
    first_prediction = int(usable[first])
    adoption_end = int(usable[-1]) + timeframe_seconds
    closed = pd.Timestamp(adoption_end, unit="s", tz="UTC")
    adoption_start = int((closed - pd.DateOffset(months=policy.adoption_window_months)).timestamp())
    if first_prediction >= adoption_start:
        raise _too_short(f"learning lasts to {_day(first_prediction)}, adoption starts {_day(adoption_start)}", policy)
    return Windows(
        first_prediction=first_prediction,
        theta_start=first_prediction,
        theta_end=adoption_start,
        adoption_start=adoption_start,
        adoption_end=adoption_end,
        steps=_steps(first_prediction, adoption_end, policy.step_months),
    )


def _steps(start: int, end: int, months: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    while start < end:
        moment = pd.Timestamp(start, unit="s", tz="UTC")
        month = pd.Timestamp(year=moment.year, month=moment.month, day=1, tz="UTC")
        until = min(int((month + pd.DateOffset(months=months)).timestamp()), end)
        steps.append(Step(f"{moment:%Y-%m}", start, until))
        start = until
    return tuple(steps)


def _day(seconds: int) -> str:
    return f"{pd.Timestamp(seconds, unit='s', tz='UTC'):%Y-%m-%d}"


def _too_short(found: str, policy: WalkForward) -> BlockedError:
    return BlockedError(
        "MODEL_HISTORY_SHORT",
        f"{policy.first_training_days} days to learn from and {policy.adoption_window_months} months to judge on do "
        f"not fit with a θ window between them: {found}",
        where="retrain_policy.yaml walk_forward",
        remedy="import a longer history, or shorten the windows",
    )
