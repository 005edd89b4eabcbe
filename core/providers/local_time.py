"""Wall-clock stamps to UTC across both changes of daylight saving time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import InputError
from core.market.bars import TS_DTYPE


def to_utc(local: pd.Series, timezone: str, where: str) -> pd.Series:
    """Naive stamps of a time zone as datetime64[us, UTC].

    In autumn an hour occurs twice: the second pass starts where the stamps stop growing.

    Args:
        local: naive stamps (n,), in the file's order.
        timezone: IANA name.
        where: the file, for the error.

    Raises:
        InputError: a stamp lies in the hour that spring skips, or in the hour that autumn repeats while the file holds
            only one pass of it, so that nothing tells which.
    """
    index = pd.DatetimeIndex(local)
    summer = index.tz_localize(timezone, ambiguous=np.ones(len(index), dtype=bool), nonexistent="NaT")
    winter = index.tz_localize(timezone, ambiguous=np.zeros(len(index), dtype=bool), nonexistent="NaT")
    stamped = index.notna()
    skipped = np.asarray(summer.isna()) & stamped
    if skipped.any():
        row = int(np.argmax(skipped))
        raise _stamp_error("SKIPPED", f"{index[row]} does not exist in {timezone}: clocks skip that hour", where, row)
    repeated = np.asarray(summer != winter) & stamped
    second = np.zeros(len(index), dtype=bool)
    for start, end in _runs(repeated):
        stamps = index[start:end].to_numpy()
        turns = np.flatnonzero(np.diff(stamps) <= np.timedelta64(0))
        if turns.size == 0:
            message = f"{index[start]} occurs twice in {timezone} and the file holds one of the two"
            raise _stamp_error("AMBIGUOUS", message, where, start)
        second[start + int(turns[0]) + 1 : end] = True
    local_time = index.tz_localize(timezone, ambiguous=~second, nonexistent="raise")
    return pd.Series(local_time.tz_convert("UTC"), index=local.index).astype(TS_DTYPE)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _stamp_error(code: str, message: str, where: str, row: int) -> InputError:
    return InputError(
        f"DATA_STAMP_{code}",
        message,
        where=f"{where}, row {row}",
        remedy="name the zone the stamps are really in as layout.timezone of sources.yaml, or export in UTC",
    )
