"""All exponential averages of a step in one loop: each waits for its own last value, not for the others'."""

from __future__ import annotations

from typing import Final

from core.features.kernels.average import Average, average_clear, average_full, average_step, moved
from core.features.kernels.compiled import compiled, place
from core.market.pairs import Floats

ATR_A: Final = 0
ATR_B: Final = 1
ATR_SPREAD: Final = 2
GAIN: Final = 3
LOSS: Final = 4
GAP: Final = 5
AVERAGED: Final = 6
"""Rows that `averages_run` writes: of true ranges, of a change by size and direction, and fast less slow EMA."""


class Averages:
    """One record an average."""

    z_ema: Average
    speed: Average
    ema_fast: Average
    ema_slow: Average
    atr_a: Average
    atr_b: Average
    atr_spread: Average
    gain: Average
    loss: Average


@compiled
def averages_clear(averages: Averages) -> None:
    average_clear(averages.z_ema)
    average_clear(averages.speed)
    average_clear(averages.ema_fast)
    average_clear(averages.ema_slow)
    average_clear(averages.atr_a)
    average_clear(averages.atr_b)
    average_clear(averages.atr_spread)
    average_clear(averages.gain)
    average_clear(averages.loss)


@compiled
def averages_run(
    averages: Averages,
    z: Floats,
    dz: Floats,
    spread: Floats,
    change: Floats,
    range_a: Floats,
    range_b: Floats,
    z_ema: Floats,
    speed: Floats,
    averaged: Floats,
) -> None:
    """Take z, its change, the spread, its change and both legs' true ranges in; write the average up to each bar.

    `z_ema` and `speed`, the size of the average change of z, are (n,); `averaged` is AVERAGED rows of n.
    """
    first = 0
    while first < z.shape[0] and not _full(averages):
        i = place(first)
        size = abs(change[i])
        z_ema[i] = average_step(averages.z_ema, z[i])
        speed[i] = abs(average_step(averages.speed, dz[i]))
        fast = average_step(averages.ema_fast, spread[i])
        averaged[GAP, i] = fast - average_step(averages.ema_slow, spread[i])
        averaged[ATR_A, i] = average_step(averages.atr_a, range_a[i])
        averaged[ATR_B, i] = average_step(averages.atr_b, range_b[i])
        averaged[ATR_SPREAD, i] = average_step(averages.atr_spread, size)
        averaged[GAIN, i] = average_step(averages.gain, 0.5 * (size + change[i]))
        averaged[LOSS, i] = average_step(averages.loss, 0.5 * (size - change[i]))
        first += 1
    if first < z.shape[0]:
        _move(
            averages,
            z[first:],
            dz[first:],
            spread[first:],
            change[first:],
            range_a[first:],
            range_b[first:],
            z_ema[first:],
            speed[first:],
            averaged[:, first:],
        )


@compiled
def _full(averages: Averages) -> bool:
    legs = average_full(averages.atr_a) and average_full(averages.atr_b)
    moves = average_full(averages.atr_spread) and average_full(averages.gain) and average_full(averages.loss)
    emas = average_full(averages.ema_fast) and average_full(averages.ema_slow)
    return bool(legs and moves and emas and average_full(averages.z_ema) and average_full(averages.speed))


@compiled
def _move(
    averages: Averages,
    z: Floats,
    dz: Floats,
    spread: Floats,
    change: Floats,
    range_a: Floats,
    range_b: Floats,
    z_ema: Floats,
    speed: Floats,
    averaged: Floats,
) -> None:
    """The same for averages whose windows are full."""
    rate_z, rate_speed = averages.z_ema.rate, averages.speed.rate
    rate_fast, rate_slow = averages.ema_fast.rate, averages.ema_slow.rate
    rate_a, rate_b, rate_spread = averages.atr_a.rate, averages.atr_b.rate, averages.atr_spread.rate
    rate_gain, rate_loss = averages.gain.rate, averages.loss.rate
    of_z, of_dz = averages.z_ema.value, averages.speed.value
    fast, slow = averages.ema_fast.value, averages.ema_slow.value
    atr_a, atr_b, atr_spread = averages.atr_a.value, averages.atr_b.value, averages.atr_spread.value
    gain, loss = averages.gain.value, averages.loss.value
    for i in range(z.shape[0]):
        size = abs(change[i])
        z_ema[i] = of_z = moved(of_z, rate_z, z[i])
        of_dz = moved(of_dz, rate_speed, dz[i])
        speed[i] = abs(of_dz)
        fast = moved(fast, rate_fast, spread[i])
        slow = moved(slow, rate_slow, spread[i])
        averaged[GAP, i] = fast - slow
        averaged[ATR_A, i] = atr_a = moved(atr_a, rate_a, range_a[i])
        averaged[ATR_B, i] = atr_b = moved(atr_b, rate_b, range_b[i])
        averaged[ATR_SPREAD, i] = atr_spread = moved(atr_spread, rate_spread, size)
        averaged[GAIN, i] = gain = moved(gain, rate_gain, 0.5 * (size + change[i]))
        averaged[LOSS, i] = loss = moved(loss, rate_loss, 0.5 * (size - change[i]))
    averages.z_ema.value, averages.speed.value = of_z, of_dz
    averages.ema_fast.value, averages.ema_slow.value = fast, slow
    averages.atr_a.value, averages.atr_b.value, averages.atr_spread.value = atr_a, atr_b, atr_spread
    averages.gain.value, averages.loss.value = gain, loss
