"""Isotonic calibration of a classifier's scores (SPEC TRN-1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from core.market.pairs import Floats


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing, piecewise linear map from a score's sigmoid `x` to a probability `y`; flat beyond its ends."""

    x: Floats
    y: Floats

    def probability(self, scores: Floats) -> Floats:
        """Probabilities in [0, 1] of raw scores (log-odds)."""
        return np.interp(sigmoid(scores), self.x, self.y)


def fit_isotonic(scores: Floats, labels: Floats) -> Isotonic:
    """Fit on validation folds only: raw scores of models that have not seen these rows, and their 0/1 labels."""
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(sigmoid(scores), labels)
    return Isotonic(
        x=np.asarray(fitted.X_thresholds_, dtype=np.float64), y=np.asarray(fitted.y_thresholds_, dtype=np.float64)
    )


def sigmoid(scores: Floats) -> Floats:
    """1/(1 + e^−s)."""
    return np.asarray(1.0 / (1.0 + np.exp(-scores)), dtype=np.float64)
