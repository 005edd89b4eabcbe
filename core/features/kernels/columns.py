"""What a step computes bar by bar without a window: columns in, columns out, of n bars each.

A function that looks back takes the value of the bar before the first and returns that of the last.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.features.kernels.compiled import compiled
from core.features.kernels.joint import MEAN_X, MEAN_Y, XX, XY, YY
from core.features.kernels.logarithm import logarithms
from core.features.kernels.state import Record
from core.market.pairs import Floats, Ints

LOG_2: Final = float(np.log(2.0))


@compiled
def in_a_row(numbers: Ints) -> int:
    """How many stand at the beginning that are the first one."""
    same = 0
    for i in range(numbers.shape[0]):
        same += numbers[i] == numbers[0]
    if same == numbers.shape[0]:
        return same
    end = 1
    while numbers[end] == numbers[0]:
        end += 1
    return end


@compiled
def changes(before: float, xs: Floats, out: Floats) -> float:
    """Each value less the one before."""
    out[0] = xs[0] - before
    later, earlier, changed = xs[1:], xs[:-1], out[1:]
    for i in range(later.shape[0]):
        changed[i] = later[i] - earlier[i]
    return float(xs[-1])


@compiled
def values_before(before: float, xs: Floats, out: Floats) -> float:
    """The value before each."""
    out[0] = before
    shifted = out[1:]
    for i in range(shifted.shape[0]):
        shifted[i] = xs[i]
    return float(xs[-1])


@compiled
def differences(xs: Floats, ys: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = xs[i] - ys[i]


@compiled
def ratios(xs: Floats, ys: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = xs[i] / ys[i]


@compiled
def deviations(variances: Floats, out: Floats) -> None:
    """Standard deviations; NaN where the variance is 0."""
    for i in range(variances.shape[0]):
        root = np.sqrt(variances[i])
        out[i] = root if root > 0.0 else np.nan


@compiled
def standardised(xs: Floats, means: Floats, sds: Floats, out: Floats) -> None:
    for i in range(xs.shape[0]):
        out[i] = (xs[i] - means[i]) / sds[i]


@compiled
def spreads(
    record: Record, log_a: Floats, log_b: Floats, sums: Floats, beta: Floats, spread: Floats, alpha: Floats
) -> None:
    """β, the spread and α of each bar by the hedge line through the bars before it; `sums` are those up to it.

    Of `sums`, the line's slopes take the place of XY.
    """
    slopes, means_a, means_b = sums[XY], sums[MEAN_Y], sums[MEAN_X]
    for i in range(log_a.shape[0]):
        slope = slopes[i] / sums[XX, i]
        slopes[i] = slope if sums[XX, i] > 0.0 else np.nan
    mean_a = values_before(record.mean_a, means_a[: log_a.shape[0]], spread)
    mean_b = values_before(record.mean_b, means_b[: log_a.shape[0]], alpha)
    slope = values_before(record.beta, slopes[: log_a.shape[0]], beta)
    for i in range(log_a.shape[0]):
        before_a, before_b = spread[i], alpha[i]
        spread[i] = (log_a[i] - before_a) - beta[i] * (log_b[i] - before_b)
        alpha[i] = before_a - beta[i] * before_b
    record.beta = slope
    record.mean_a = mean_a
    record.mean_b = mean_b


@compiled
def true_ranges(before: float, high: Floats, low: Floats, close: Floats, out: Floats) -> float:
    """Each bar's range including the step from the close before, where there is one."""
    last: float = values_before(before, close, out)
    for i in range(high.shape[0]):
        wide = max(high[i], out[i]) - min(low[i], out[i])
        out[i] = high[i] - low[i] if np.isnan(out[i]) else wide
    return last


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
def half_lives(sums: Floats, longest: float, rests: Floats, out: Floats) -> None:
    """Bars in which a deviation halves, from the slope of the spread's change on its level before.

    `rests`, work space, holds the share of a deviation that is left after a bar.
    """
    for i in range(out.shape[0]):
        slope = sums[XY, i] / sums[XX, i]
        rests[i] = 1.0 + slope if sums[XX, i] > 0.0 else np.nan
    logarithms(rests, out)
    for i in range(out.shape[0]):
        life = min(longest, max(1.0, -LOG_2 / out[i]))
        kept = longest if not np.isnan(rests[i]) else np.nan
        out[i] = life if 0.0 < rests[i] < 1.0 else kept


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
