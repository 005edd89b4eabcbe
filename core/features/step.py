"""The one step behind every feature: a bar goes in, a row of features comes out (docs/formulas.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from core.features.kernels.average import average_clear, average_push
from core.features.kernels.compiled import cached, compiled, inlined
from core.features.kernels.extremes import extremes_clear, extremes_push
from core.features.kernels.fingerprint import fingerprint
from core.features.kernels.joint import joint_clear, joint_correlation, joint_line, joint_push
from core.features.kernels.median import median_clear, median_push
from core.features.kernels.moments import moments_clear, moments_push, moments_read
from core.features.kernels.share import share_clear, share_push
from core.features.kernels.slope import slope_clear, slope_push
from core.features.kernels.state import Record
from core.market.pairs import Counts, Floats, Ints

ALPHA: Final = 0
SPREAD_MEAN: Final = 1
SPREAD_SD: Final = 2
HELD_ROWS: Final = 3
"""Rows of the second output: what a position opened on the bar holds from its start."""


@inlined
def step(  # noqa: PLR0915 - one straight pass
    record: Record,
    rings: Floats,
    segment: int,
    high_a: float,
    low_a: float,
    close_a: float,
    high_b: float,
    low_b: float,
    close_b: float,
    filled: int,
    spike: int,
    row: int,
    values: Floats,
    held: Floats,
) -> None:
    """Take one bar in; write its 20 features to `values[row]` and (alpha, spread mean, spread sd) to `held[:, row]`.

    `record` and `rings` are the state (KernelState) and move to this bar. A bar of another segment than the
    one before restarts every window.
    """
    if segment != record.segment:
        _restart(record)
        record.segment = segment

    a = np.log(close_a)
    b = np.log(close_b)
    return_a = a - record.log_a
    return_b = b - record.log_b

    beta, mean_b, mean_a = joint_line(record.hedge, rings)
    joint_push(record.hedge, rings, b, a)
    spread = (a - mean_a) - beta * (b - mean_b)
    change = spread - record.spread

    moments_push(record.spread_moments, rings, spread)
    spread_mean, variance = moments_read(record.spread_moments, rings)
    spread_sd = np.sqrt(variance) if variance != 0.0 else np.nan
    z = (spread - spread_mean) / spread_sd
    dz = z - record.z

    atr_a = average_push(record.atr_a, _true_range(high_a, low_a, record.close_a)) / close_a
    atr_b = average_push(record.atr_b, _true_range(high_b, low_b, record.close_b)) / close_b

    joint_push(record.returns, rings, return_b, return_a)
    rho = joint_correlation(record.returns, rings)
    moments_push(record.rho_moments, rings, rho)
    moments_push(record.beta_moments, rings, beta)

    values[row, 0] = beta
    values[row, 1] = spread
    values[row, 2] = z
    values[row, 3] = dz
    values[row, 4] = average_push(record.z_ema, z)
    values[row, 5] = abs(average_push(record.speed, dz))
    values[row, 6] = atr_a
    values[row, 7] = atr_b
    values[row, 8] = _atr_ratio(record, rings, atr_a, atr_b)
    values[row, 9] = average_push(record.atr_spread, abs(change)) / spread_sd
    values[row, 10] = _half_life(record, rings, change)
    values[row, 11] = rho
    values[row, 12] = moments_read(record.rho_moments, rings)[1]
    values[row, 13] = _beta_stability(record, rings)
    values[row, 14] = (average_push(record.ema_fast, spread) - average_push(record.ema_slow, spread)) / spread_sd
    values[row, 15] = slope_push(record.slope, rings, spread) * record.slope.window / spread_sd
    values[row, 16] = _rsi(record, change)
    values[row, 17] = _drawdown(record, rings, (return_a - beta * return_b) / (1.0 + abs(beta)))
    values[row, 18] = share_push(record.filled, rings, filled)
    values[row, 19] = share_push(record.spike, rings, spike)

    held[ALPHA, row] = mean_a - beta * mean_b
    held[SPREAD_MEAN, row] = spread_mean
    held[SPREAD_SD, row] = spread_sd

    record.close_a = close_a
    record.close_b = close_b
    record.log_a = a
    record.log_b = b
    record.spread = spread
    record.z = z


@compiled
def _restart(record: Record) -> None:
    record.close_a = np.nan
    record.close_b = np.nan
    record.log_a = np.nan
    record.log_b = np.nan
    record.spread = np.nan
    record.z = np.nan
    record.path = 0.0
    joint_clear(record.hedge)
    moments_clear(record.spread_moments)
    average_clear(record.z_ema)
    average_clear(record.speed)
    average_clear(record.atr_a)
    average_clear(record.atr_b)
    median_clear(record.atr_ratio)
    average_clear(record.atr_spread)
    joint_clear(record.reversion)
    joint_clear(record.returns)
    moments_clear(record.rho_moments)
    moments_clear(record.beta_moments)
    average_clear(record.ema_fast)
    average_clear(record.ema_slow)
    slope_clear(record.slope)
    average_clear(record.gain)
    average_clear(record.loss)
    extremes_clear(record.drawdown)
    share_clear(record.filled)
    share_clear(record.spike)


@inlined
def _true_range(high: float, low: float, close_before: float) -> float:
    """The bar's range including the step from the close before, where there is one."""
    if np.isnan(close_before):
        return high - low
    return max(high, close_before) - min(low, close_before)


@inlined
def _atr_ratio(record: Record, rings: Floats, atr_a: float, atr_b: float) -> float:
    """Relative volatility against its own median, as a factor ≥ 1."""
    relative = atr_a / atr_b if atr_a > 0.0 and atr_b > 0.0 else np.nan
    ratio = relative / median_push(record.atr_ratio, rings, relative)
    return float(max(ratio, 1.0 / ratio))


@inlined
def _half_life(record: Record, rings: Floats, change: float) -> float:
    """Bars in which a deviation halves, from the regression of the spread's change on its level before."""
    joint_push(record.reversion, rings, record.spread, change)
    slope, _, _ = joint_line(record.reversion, rings)
    if np.isnan(slope):
        return np.nan
    if slope <= -1.0 or slope >= 0.0:
        return record.half_life_max
    return float(min(record.half_life_max, max(1.0, -np.log(2.0) / np.log(1.0 + slope))))


@inlined
def _beta_stability(record: Record, rings: Floats) -> float:
    mean, variance = moments_read(record.beta_moments, rings)
    return float(np.sqrt(variance) / max(abs(mean), record.beta_mean_floor))


@inlined
def _rsi(record: Record, change: float) -> float:
    """Wilder's relative strength index of the spread, 0 … 100; NaN where it never moved."""
    gain = average_push(record.gain, max(change, 0.0) if not np.isnan(change) else np.nan)
    loss = average_push(record.loss, max(-change, 0.0) if not np.isnan(change) else np.nan)
    return float(100.0 * gain / (gain + loss))


@inlined
def _drawdown(record: Record, rings: Floats, hedged_return: float) -> float:
    """Larger distance of the hedged path from its recent high and low, in share of gross."""
    if np.isnan(hedged_return):
        extremes_clear(record.drawdown)
        return np.nan
    record.path += hedged_return
    highest, lowest = extremes_push(record.drawdown, rings, record.path)
    return float(max(highest - record.path, record.path - lowest))


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
        values: Floats,
        held: Floats,
    ) -> None:
        """Step through n bars in order; row i of `values` (n, 20) and column i of `held` (3, n) belong to bar i."""
        record = state[0]
        record.code = code
        for i in range(close_a.shape[0]):
            step(
                record,
                rings,
                segment[i],
                high_a[i],
                low_a[i],
                close_a[i],
                high_b[i],
                low_b[i],
                close_b[i],
                filled[i],
                spike[i],
                i,
                values,
                held,
            )

    return cast(Callable[..., None], run)


run: Final = _compile_run(fingerprint(step))
"""Step through n bars in order: see `_compile_run`. Batch and live call this same compiled code."""
