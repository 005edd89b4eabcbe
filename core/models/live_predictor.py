"""The three models on one row at a time, fused: what a live decision costs microseconds for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.features.alignment import RSI_MIDDLE, SIGNED
from core.features.scaling import Scalers
from core.market.pairs import Floats, Ints
from core.models.calibration import Isotonic, calibrated
from core.models.oblivious import ObliviousTrees, score_row
from core.models.predictor import Predictions


@dataclass(frozen=True)
class LiveModels:
    """What `LivePredictor` needs: the trees of AI1, AI2 and AI3, two calibrations, and the scalers."""

    ai1: ObliviousTrees
    ai2: ObliviousTrees
    ai3: ObliviousTrees
    calibration1: Isotonic
    calibration2: Isotonic
    scalers: Scalers


class LivePredictor:
    """Bit for bit what `Predictor` gives, a row alone in one compiled pass: align, scale, score, calibrate.

    Args:
        models: as read from a verified bundle.
        columns: names of the model inputs, in the order of a row's columns.
    """

    def __init__(self, models: LiveModels, columns: tuple[str, ...]) -> None:
        scalers = models.scalers
        self._middle = np.array([RSI_MIDDLE if name == "rsi_spread" else 0.0 for name in columns])
        self._signed = np.array([name in SIGNED for name in columns])
        self._scaling = (scalers.median, scalers.divisor, scalers.clip)
        self._trees = tuple(
            (trees.depth, trees.feature, trees.border, trees.leaves, trees.scale, trees.bias)
            for trees in (models.ai1, models.ai2, models.ai3)
        )
        self._calibrations = tuple((each.x, each.y) for each in (models.calibration1, models.calibration2))
        self._space = np.empty(len(columns), dtype=np.float32)

    def predict(self, row: Floats, z: float) -> tuple[float, float, float]:
        """return_prob, risk_score and excursion of one bar, known at its close.

        Args:
            row: float64 (k,), the model inputs, unscaled and finite.
            z: z of the bar.
        """
        found: tuple[float, float, float] = _predict_row(
            row, z, self._signed, self._middle, *self._scaling, *self._trees, *self._calibrations, self._space
        )
        return found

    def predict_rows(self, rows: Floats, z: Floats) -> Predictions:
        """The same for rows float64 (m, k)."""
        found = np.array([self.predict(row, at) for row, at in zip(rows, z.tolist(), strict=True)])
        return Predictions(*np.ascontiguousarray(found.reshape(-1, 3).T))


_Trees = tuple[Ints, Ints, NDArray[np.float32], Floats, float, float]


@njit(cache=True, error_model="numpy")
def _predict_row(
    row: Floats,
    z: float,
    signed: NDArray[np.bool_],
    middle: Floats,
    median: Floats,
    divisor: Floats,
    clip: Floats,
    ai1: _Trees,
    ai2: _Trees,
    ai3: _Trees,
    calibration1: tuple[Floats, Floats],
    calibration2: tuple[Floats, Floats],
    space: NDArray[np.float32],
) -> tuple[float, float, float]:
    direction = -np.sign(z)
    for k in range(row.shape[0]):
        aligned = (row[k] - middle[k]) * direction if signed[k] else row[k]
        scaled = (aligned - median[k]) / divisor[k]
        space[k] = min(max(scaled, -clip[k]), clip[k])
    return (
        calibrated(score_row(space, *ai1), *calibration1),
        calibrated(score_row(space, *ai2), *calibration2),
        max(score_row(space, *ai3), 0.0),
    )
