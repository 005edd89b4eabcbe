"""What a step computes bar by bar without a window: columns in, columns out, of n bars each.

A function that looks back takes the value of the bar before the first and returns that of the last.
"""

from __future__ import annotations

import numpy as np

from core.features.kernels.compiled import compiled
from core.features.kernels.joint import MEAN_X, MEAN_Y, XX, XY, YY
from core.features.kernels.state import Record
from core.market.pairs import Floats


@compiled
def logarithms(xs: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = np.log(xs[i])


@compiled
def copied(xs: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = xs[i]


@compiled
def changes(before: float, xs: Floats, out: Floats) -> float:
    """Each value less the one before."""
    for i in range(xs.shape[0]):
        out[i] = xs[i] - before
        before = xs[i]
    return before


@compiled
def values_before(before: float, xs: Floats, out: Floats) -> None:
    """The value before each."""
    for i in range(xs.shape[0]):
        out[i] = before
        before = xs[i]


@compiled
def differences(xs: Floats, ys: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = xs[i] - ys[i]


@compiled
def ratios(xs: Floats, ys: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = xs[i] / ys[i]


@compiled
def magnitudes(xs: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = abs(xs[i])


@compiled
def deviations(variances: Floats, out: Floats) -> None:
    """Standard deviations; NaN where the variance is 0."""
    for i in range(variances.shape[0]):
        out[i] = np.sqrt(variances[i]) if variances[i] > 0.0 else np.nan


@compiled
def standardised(xs: Floats, means: Floats, sds: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = (xs[i] - means[i]) / sds[i]


@compiled
def spreads(
    record: Record, log_a: Floats, log_b: Floats, sums: Floats, beta: Floats, spread: Floats, alpha: Floats
) -> None:
    """β, the spread and α of each bar by the hedge line through the bars before it; `sums` are those through it."""
    slope, mean_a, mean_b = record.beta, record.mean_a, record.mean_b
    for i in range(log_a.shape[0]):
        beta[i] = slope
        spread[i] = (log_a[i] - mean_a) - slope * (log_b[i] - mean_b)
        alpha[i] = mean_a - slope * mean_b
        slope = sums[XY, i] / sums[XX, i] if sums[XX, i] > 0.0 else np.nan
        mean_a = sums[MEAN_Y, i]
        mean_b = sums[MEAN_X, i]
    record.beta = slope
    record.mean_a = mean_a
    record.mean_b = mean_b


@compiled
def true_ranges(before: float, high: Floats, low: Floats, close: Floats, out: Floats) -> float:
    """Each bar's range including the step from the close before, where there is one."""
    for i in range(high.shape[0]):
        out[i] = max(high[i], before) - min(low[i], before) if not np.isnan(before) else high[i] - low[i]
        before = close[i]
    return before


@compiled
def moves(change: Floats, size: Floats, gain: Floats, loss: Floats) -> None:
    """A change's size, and its part upwards and downwards."""
    for i in range(change.shape[0]):
        size[i] = abs(change[i])
        gain[i] = 0.5 * (size[i] + change[i])
        loss[i] = 0.5 * (size[i] - change[i])


@compiled
def strengths(gain: Floats, loss: Floats, out: Floats) -> None:
    """Wilder's relative strength index, 0 … 100; NaN where nothing moved."""
    for i in range(gain.shape[0]):
        out[i] = 100.0 * gain[i] / (gain[i] + loss[i])


@compiled
def factors(xs: Floats, ys: Floats, out: Floats) -> None:
    """How many times the one the other is, the larger by the smaller."""
    for i in range(xs.shape[0]):
        ratio = xs[i] / ys[i]
        out[i] = max(ratio, 1.0 / ratio)


@compiled
def half_lives(sums: Floats, longest: float, out: Floats) -> None:
    """Bars in which a deviation halves, from the slope of the spread's change on its level before."""
    for i in range(out.shape[0]):
        slope = sums[XY, i] / sums[XX, i] if sums[XX, i] > 0.0 else np.nan
        out[i] = slope
        if -1.0 < slope < 0.0:
            out[i] = min(longest, max(1.0, -np.log(2.0) / np.log(1.0 + slope)))
        elif not np.isnan(slope):
            out[i] = longest


@compiled
def correlations(sums: Floats, out: Floats) -> None:
    """Pearson correlation in [−1, 1]; NaN where either series is constant."""
    for i in range(out.shape[0]):
        squares = sums[XX, i] * sums[YY, i]
        out[i] = min(1.0, max(-1.0, sums[XY, i] / np.sqrt(squares))) if squares > 0.0 else np.nan


@compiled
def stabilities(means: Floats, variances: Floats, floor: float, out: Floats) -> None:
    """Standard deviation as a share of the mean's size, the mean being at least `floor`."""
    for i in range(means.shape[0]):
        out[i] = np.sqrt(variances[i]) / max(abs(means[i]), floor)


@compiled
def paths(before: float, return_a: Floats, return_b: Floats, beta: Floats, out: Floats) -> float:
    """Cumulative return of the hedged position per unit of gross, each bar at its own β; NaN where there is none."""
    for i in range(beta.shape[0]):
        hedged = (return_a[i] - beta[i] * return_b[i]) / (1.0 + abs(beta[i]))
        out[i] = before + hedged
        before = before if np.isnan(hedged) else out[i]
    return before


@compiled
def distances(path: Floats, highest: Floats, lowest: Floats, out: Floats) -> None:
    """The larger of the distances from a high and from a low."""
    for i in range(path.shape[0]):
        out[i] = max(highest[i] - path[i], path[i] - lowest[i])
