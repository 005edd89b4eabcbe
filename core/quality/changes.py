"""Suspicious price changes: bad ticks against real jumps (SPEC DATA-3, S12)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

ACCEPTED: Final = 0
OUTLIER: Final = 1
JUMP: Final = 2
HELD: Final = 3


@njit(cache=True, error_model="numpy")
def classify_changes(close: NDArray[np.float64], sigmas: float, window_bars: int, min_bars: int) -> NDArray[np.int8]:
    """What each bar's close is: ACCEPTED, OUTLIER, JUMP or HELD; int8 (n,).

    A bar's change is the log return from the last good close, the close of the newest bar that is no outlier. σ is the
    sample standard deviation (ddof = 1) of the changes of the `window_bars` good bars before it; while there are fewer
    than `min_bars` of them, every bar is accepted. A change beyond ±`sigmas`·σ is suspicious: the bar is an OUTLIER if
    the next bar's close is back within `sigmas`·σ of the last good close, else a JUMP, which is good. The newest bar
    has no next one: it is HELD.

    Args:
        close: prices (n,), positive, in order of time; bars that are missing are simply not there.
    """
    n = close.shape[0]
    verdict = np.zeros(n, dtype=np.int8)
    changes = np.empty(n, dtype=np.float64)
    known = 0
    if n == 0:
        return verdict
    last_good = np.log(close[0])
    for i in range(1, n):
        price = np.log(close[i])
        change = price - last_good
        first = max(0, known - window_bars)
        count = known - first
        if count >= min_bars:
            mean = 0.0
            for j in range(first, known):
                mean += changes[j]
            mean /= count
            squares = 0.0
            for j in range(first, known):
                squares += (changes[j] - mean) ** 2
            limit = sigmas * np.sqrt(squares / (count - 1))
            if abs(change) > limit:
                if i == n - 1:
                    verdict[i] = HELD
                    break
                if abs(np.log(close[i + 1]) - last_good) <= limit:
                    verdict[i] = OUTLIER
                    continue
                verdict[i] = JUMP
        changes[known] = change
        known += 1
        last_good = price
    return verdict
