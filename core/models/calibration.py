"""Isotonic calibration of a classifier's scores (SPEC TRN-1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from sklearn.isotonic import IsotonicRegression

from core.market.pairs import Floats


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing, piecewise linear map from a score's sigmoid `x` to a probability `y`; flat beyond its ends."""

    x: Floats
    y: Floats

    def probability(self, scores: Floats) -> Floats:
        """Probabilities in [0, 1] of raw scores (log-odds)."""
        found: Floats = _probabilities(np.asarray(scores, dtype=np.float64), self.x, self.y)
        return found


def fit_isotonic(scores: Floats, labels: Floats) -> Isotonic:
    """Fit on validation folds only: raw scores of models that have not seen these rows, and their 0/1 labels."""
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(sigmoid(scores), labels)
    return Isotonic(
        x=np.asarray(fitted.X_thresholds_, dtype=np.float64), y=np.asarray(fitted.y_thresholds_, dtype=np.float64)
    )


def sigmoid(scores: Floats) -> Floats:
    """1/(1 + e^−s) of each score."""
    found: Floats = _sigmoids(np.asarray(scores, dtype=np.float64))
    return found


@njit(cache=True, error_model="numpy")
def calibrated(score: float, x: Floats, y: Floats) -> float:
    """Probability of one raw score: its sigmoid carried along the line through (x, y), flat beyond its ends.

    The same arithmetic as `numpy.interp`, here so that a row alone and a row among many give the same bits.
    """
    at = 1.0 / (1.0 + np.exp(-score))
    if np.isnan(at):
        return np.nan
    right = np.searchsorted(x, at, side="right")
    if right == 0:
        return float(y[0])
    left = right - 1
    if right == x.shape[0] or x[left] == at:
        return float(y[left])
    return float((y[right] - y[left]) / (x[right] - x[left]) * (at - x[left]) + y[left])


@njit(cache=True, error_model="numpy")
def _probabilities(scores: Floats, x: Floats, y: Floats) -> Floats:
    out = np.empty(scores.shape[0])
    for i in range(scores.shape[0]):
        out[i] = calibrated(scores[i], x, y)
    return out


@njit(cache=True, error_model="numpy")
def _sigmoids(scores: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-scores))
