"""The one step behind every feature: bars go in, a row of features each comes out (docs/formulas.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from core.features.kernels.averages import (
    ATR_A,
    ATR_B,
    ATR_SPREAD,
    AVERAGED,
    GAIN,
    GAP,
    LOSS,
    averages_clear,
    averages_run,
)
from core.features.kernels.columns import (
    changes,
    correlations,
    deviations,
    distances,
    factors,
    half_lives,
    in_a_row,
    paths,
    ratios,
    spreads,
    stabilities,
    standardised,
    strengths,
    true_ranges,
    values_before,
)
from core.features.kernels.compiled import cached, compiled
from core.features.kernels.extremes import extremes_clear, extremes_run
from core.features.kernels.fingerprint import fingerprint
from core.features.kernels.joint import SUMS, joint_clear, joint_run
from core.features.kernels.logarithm import logarithms
from core.features.kernels.median import median_clear, median_run
from core.features.kernels.moments import moments_clear, moments_run
from core.features.kernels.prefetch import ask_for
from core.features.kernels.share import share_clear, share_run
from core.features.kernels.slope import slope_clear, slope_run
from core.features.kernels.state import Record
from core.market.pairs import Counts, Floats, Ints

ALPHA: Final = 0
SPREAD_MEAN: Final = 1
SPREAD_SD: Final = 2
HELD_ROWS: Final = 3
"""Rows of the second output: what a position opened on the bar holds from its start."""

BLOCK: Final = 376
"""Bars a step takes at most, so that what it works on stays in the fastest cache."""

_CHANGE: Final = AVERAGED + SUMS
_BEFORE: Final = _CHANGE + 1
_RETURN_A: Final = _CHANGE + 2
_RETURN_B: Final = _CHANGE + 3
_FIRST: Final = _CHANGE + 4
_SECOND: Final = _CHANGE + 5
WORK_ROWS: Final = _CHANGE + 6
"""Rows of work space: averages, a line's sums, and the columns named above."""


@compiled
def step(
    record: Record,
    rings: Floats,
    high_a: Floats,
    low_a: Floats,
    close_a: Floats,
    high_b: Floats,
    low_b: Floats,
    close_b: Floats,
    filled: Counts,
    spike: Counts,
    at: int,
    out: Floats,
    held: Floats,
    work: Floats,
) -> None:
    """Take n bars of one segment in and write columns at … at + n − 1 of `out` (20 rows) and `held` (HELD_ROWS).

    `record` and `rings` are the state (KernelState) and move to the last of the bars. `work` is
    (WORK_ROWS, ≥ n) space of any content.
    """
    end = at + close_a.shape[0]
    n = close_a.shape[0]
    averaged = work[:AVERAGED, :n]
    sums = work[AVERAGED:_CHANGE]
    change, before = work[_CHANGE, :n], work[_BEFORE, :n]
    return_a, return_b = work[_RETURN_A, :n], work[_RETURN_B, :n]
    first, second = work[_FIRST, :n], work[_SECOND, :n]
    beta, spread, z, dz = out[0, at:end], out[1, at:end], out[2, at:end], out[3, at:end]
    atr_a, atr_b, rho = out[6, at:end], out[7, at:end], out[11, at:end]
    alpha, mean, sd = held[ALPHA, at:end], held[SPREAD_MEAN, at:end], held[SPREAD_SD, at:end]

    log_a, log_b = second, first
    logarithms(close_a, log_a)
    logarithms(close_b, log_b)
    record.log_a = changes(record.log_a, log_a, return_a)
    record.log_b = changes(record.log_b, log_b, return_b)
    joint_run(record.hedge, rings, log_b, log_a, sums)
    spreads(record, log_a, log_b, sums, beta, spread, alpha)
    values_before(record.spread, spread, before)
    record.spread = changes(record.spread, spread, change)

    moments_run(record.spread_moments, rings, spread, mean, first)
    deviations(first, sd)
    standardised(spread, mean, sd, z)
    record.z = changes(record.z, z, dz)

    record.close_a = true_ranges(record.close_a, high_a, low_a, close_a, first)
    record.close_b = true_ranges(record.close_b, high_b, low_b, close_b, second)
    averages_run(record.averages, z, dz, spread, change, first, second, out[4, at:end], out[5, at:end], averaged)
    ratios(averaged[ATR_A], close_a, atr_a)
    ratios(averaged[ATR_B], close_b, atr_b)
    ratios(averaged[ATR_SPREAD], sd, out[9, at:end])
    ratios(averaged[GAP], sd, out[14, at:end])
    strengths(averaged[GAIN], averaged[LOSS], out[16, at:end])

    ratios(atr_a, atr_b, first)
    median_run(record.atr_ratio, rings, first, second)
    factors(first, second, out[8, at:end])

    joint_run(record.reversion, rings, before, change, sums)
    half_lives(sums, record.half_life_max, first, out[10, at:end])

    joint_run(record.returns, rings, return_b, return_a, sums)
    correlations(sums, rho)
    moments_run(record.rho_moments, rings, rho, first, out[12, at:end])

    moments_run(record.beta_moments, rings, beta, first, second)
    stabilities(first, second, record.beta_mean_floor, out[13, at:end])

    slope_run(record.slope, rings, spread, first)
    ratios(first, sd, out[15, at:end])

    path = change
    record.path = paths(record.path, return_a, return_b, beta, path)
    extremes_run(record.drawdown, rings, path, first, second)
    distances(path, first, second, out[17, at:end])

    share_run(record.filled, rings, filled, out[18, at:end])
    share_run(record.spike, rings, spike, out[19, at:end])


@compiled
def _restart(record: Record) -> None:
    record.close_a = np.nan
    record.close_b = np.nan
    record.log_a = np.nan
    record.log_b = np.nan
    record.spread = np.nan
    record.z = np.nan
    record.path = 0.0
    record.beta = np.nan
    record.mean_b = np.nan
    record.mean_a = np.nan
    joint_clear(record.hedge)
    moments_clear(record.spread_moments)
    averages_clear(record.averages)
    median_clear(record.atr_ratio)
    joint_clear(record.reversion)
    joint_clear(record.returns)
    moments_clear(record.rho_moments)
    moments_clear(record.beta_moments)
    slope_clear(record.slope)
    extremes_clear(record.drawdown)
    share_clear(record.filled)
    share_clear(record.spike)


def _compile_run(code: int) -> Callable[..., None]:
    """The loop over `step`, kept on disk under a key that holds `code`."""

    @cached
    def run(
        state: NDArray[np.void],
        rings: Floats,
        segment: Ints,
        high_a: Floats,
        low_a: Floats,
        close_a: Floats,
        high_b: Floats,
        low_b: Floats,
        close_b: Floats,
        filled: Counts,
        spike: Counts,
        out: Floats,
        held: Floats,
        work: Floats,
    ) -> None:
        """Step through n bars in order; column i of `out` (20, n) and of `held` (3, n) belongs to bar i.

        A bar of another segment than the one before restarts every window. `work` is (WORK_ROWS, m) space of any
        content; a step takes m bars.
        """
        record = state[0]
        record.code = code
        at = 0
        while at < close_a.shape[0]:
            if segment[at] != record.segment:
                _restart(record)
                record.segment = segment[at]
            end = at + in_a_row(segment[at : at + work.shape[1]])
            ahead = end + work.shape[1]
            for column in (high_a, low_a, close_a, high_b, low_b, close_b):
                ask_for(column[end:ahead])
            step(
                record,
                rings,
                high_a[at:end],
                low_a[at:end],
                close_a[at:end],
                high_b[at:end],
                low_b[at:end],
                close_b[at:end],
                filled[at:end],
                spike[at:end],
                at,
                out,
                held,
                work,
            )
            at = end

    return cast(Callable[..., None], run)


run: Final = _compile_run(fingerprint(step))
"""Step through n bars in order: see `_compile_run`. Batch and live call this same compiled code."""
