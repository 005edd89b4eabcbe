"""Where the simulated market goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.config.sources import SimulatedFaults
from core.market.calendar import ExpectedBars
from core.market.pairs import Floats, Ints
from core.market.simulator.streams import Draws, Stream

FaultKind = Literal["bad_tick", "jump", "gap", "long_gap", "regime_break"]

_QUIET_BARS: Final = 480
_SPACING_BARS: Final = 12
_GAP_BARS: Final = (1, 2)
_LONG_GAP_BARS: Final = (3, 8)


@dataclass(frozen=True)
class PlantedFault:
    """A fault: its kind, the symbols it shows in, the open of its first bar (epoch seconds), how many bars it lasts."""

    kind: FaultKind
    symbols: tuple[str, ...]
    first: int
    bars: int


def draw_events(uniform: Floats, per_bar: float, spacing: int) -> Ints:
    """Bars at which a rare event happens: where `uniform` (n,) falls below its probability a bar.

    None in the first 480 bars or the last `spacing`, and none closer than `spacing` to the one before.
    """
    candidates = np.flatnonzero(uniform < per_bar)
    candidates = candidates[(candidates >= _QUIET_BARS) & (candidates < uniform.size - spacing)]
    kept: list[int] = []
    for at in candidates:
        if not kept or at - kept[-1] >= spacing:
            kept.append(int(at))
    return np.array(kept, dtype=np.int64)


def signed_size(draws: Floats, smallest: float, largest: float) -> Floats:
    """Sizes between the bounds with either sign, float64 (n,), from draws in [0, 1)."""
    sign = np.where(draws < 0.5, -1.0, 1.0)
    return np.asarray(sign * (smallest + (largest - smallest) * (2.0 * draws % 1.0)), dtype=np.float64)


@dataclass(frozen=True)
class LegFaults:
    """Faults of one leg: the bars (index into the expected bars) with a bad close, and first bar and length of gaps."""

    bad_ticks: Ints
    gaps: list[tuple[int, int]]
    long_gaps: list[tuple[int, int]]


def draw_leg_faults(
    draws: Draws, rates: SimulatedFaults, expected: ExpectedBars, jumps: Ints, *, bars_per_year: float, edge: int
) -> LegFaults:
    """Bad ticks and gaps of one leg, at least 12 bars from each other and from its jumps.

    A gap lies inside one session with more than `edge` bars of it on either side, so that it is a hole.
    """
    taken = np.zeros(len(expected), dtype=np.bool_)
    taken[jumps] = True

    def gaps(event: Stream, length: Stream, a_year: float, lengths: tuple[int, int]) -> list[tuple[int, int]]:
        shortest, longest = lengths
        bars = shortest + (draws.uniform(length) * (longest - shortest + 1)).astype(np.int64)
        events = draw_events(draws.uniform(event), a_year / bars_per_year, _SPACING_BARS)
        placed = [(int(at), int(bars[at])) for at in events if _inside_session(expected, int(at), int(bars[at]), edge)]
        return [(at, count) for at, count in placed if _claim(taken, at, count)]

    long_gaps = gaps(Stream.LONG_GAP, Stream.LONG_GAP_LENGTH, rates.long_gaps_per_year, _LONG_GAP_BARS)
    short_gaps = gaps(Stream.GAP, Stream.GAP_LENGTH, rates.gaps_per_year, _GAP_BARS)
    events = draw_events(draws.uniform(Stream.BAD_TICK), rates.bad_ticks_per_year / bars_per_year, _SPACING_BARS)
    bad_ticks = [int(at) for at in events if _claim(taken, int(at), 1)]
    return LegFaults(np.array(bad_ticks, dtype=np.int64), short_gaps, long_gaps)


def _claim(taken: NDArray[np.bool_], at: int, bars: int) -> bool:
    if taken[max(0, at - _SPACING_BARS) : at + bars + _SPACING_BARS].any():
        return False
    taken[at : at + bars] = True
    return True


def _inside_session(expected: ExpectedBars, at: int, bars: int, edge: int) -> bool:
    last = at + bars - 1
    if last >= len(expected) or expected.session[at] != expected.session[last]:
        return False
    return bool(expected.since_open[at] > edge and expected.until_close[last] > edge)
