"""How sure a share or a mean is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from core.market.pairs import Floats, Ints

CONFIDENCE: Final = 0.95
BANDS: Final = 10


def wilson(ones: int, count: int) -> tuple[float, float]:
    """Wilson's score interval of a share at CONFIDENCE; (0, 1) where nothing was counted.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927).
    """
    if count == 0:
        return 0.0, 1.0
    found = stats.binomtest(ones, count).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def clustered_mean(values: Floats, cluster: Ints) -> tuple[float, float]:
    """A mean and half the width of its interval at CONFIDENCE, where values of one cluster may depend on each other.

    The half width is NaN with fewer than two clusters.

    Args:
        values: float64 (n,), n ≥ 1.
        cluster: int64 (n,), which values belong together.

    Source: K.-Y. Liang, S. L. Zeger, Biometrika 73 (1986), for a mean: the variance is the sum over clusters of the
    squared sum of deviations over n², times G/(G − 1); the quantile is Student's with G − 1 degrees of freedom.
    """
    mean = float(values.mean())
    _, place = np.unique(cluster, return_inverse=True)
    groups = int(place.max()) + 1
    if groups < 2:
        return mean, float("nan")
    sums = np.bincount(place, weights=values - mean)
    error = float(np.sqrt(np.sum(sums**2) * groups / (groups - 1))) / values.size
    return mean, float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, groups - 1)) * error


@dataclass(frozen=True)
class MoneyBand:
    """Starts of similar score: their range of scores, and what a position from each made on average.

    Money in basis points of the position's gross; `half` is half the 95 % interval of `net` (NaN where unknown).
    """

    low: float
    high: float
    score: float
    count: int
    gross: float
    net: float
    half: float


def money_bands(candidates: pd.DataFrame, score: str) -> list[MoneyBand]:
    """Ten bands of equally many starts in rising score, each with its mean result per unit gross, costs in it.

    Every start counts with the position it would become, whatever θ says of it. Starts of the same calendar week are
    one cluster, because positions of neighbouring hours share their fate.

    Args:
        candidates: material.CANDIDATE_COLUMNS, one row a start.
        score: the column to band by, return_prob or risk_score.
    """
    if candidates.empty:
        return []
    scores = candidates[score].to_numpy(dtype=np.float64)
    gross, net = returns_bp(candidates)
    week = candidates["decided"].to_numpy(dtype=np.int64) // (7 * 86_400)
    bands = []
    for part in np.array_split(np.argsort(scores, kind="stable"), BANDS):
        if part.size:
            mean, half = clustered_mean(net[part], week[part])
            at = scores[part]
            bands.append(
                MoneyBand(
                    float(at[0]), float(at[-1]), float(at.mean()), part.size, float(gross[part].mean()), mean, half
                )
            )
    return bands


def returns_bp(candidates: pd.DataFrame) -> tuple[Floats, Floats]:
    """Move, and move less cost and swap, of each position in basis points of its gross, lots unrounded."""
    totals = []
    for names in (("move",), ("move", "cost", "swap")):
        total = np.zeros(len(candidates))
        for leg in "ab":
            lots = candidates[f"weight_{leg}"].abs() / candidates[f"lot_usd_{leg}"]
            result = candidates[f"{names[0]}_{leg}"] - sum(candidates[f"{name}_{leg}"] for name in names[1:])
            total += (lots * result).to_numpy(dtype=np.float64)
        totals.append(total * 1e4)
    return totals[0], totals[1]
