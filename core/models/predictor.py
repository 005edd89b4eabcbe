"""Fitted models applied to rows of features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.features.alignment import align_to_reversion
from core.market.pairs import Floats
from core.models.boosting import Trees
from core.models.fitting import FittedModels


class Predictions(NamedTuple):
    """float64 (m,) each.

    Attributes:
        return_prob: AI1's calibrated probability that z reverts within the horizon.
        risk_score: AI2's calibrated probability of a risk event within the horizon.
        excursion: AI3's quantile of the adverse excursion, share of gross.
    """

    return_prob: Floats
    risk_score: Floats
    excursion: Floats


class Predictor:
    """The three models behind one call.

    Args:
        models: as fitted or as read from a bundle.
        columns: names of the model inputs, in the order of the rows' columns.
    """

    def __init__(self, models: FittedModels, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._models = models
        self._trees = Trees(models.ai1.trees), Trees(models.ai2.trees), Trees(models.ai3.trees)

    def predict(self, rows: Floats, z: Floats) -> Predictions:
        """Predict starts.

        Args:
            rows: float64 (m, k), the model inputs, unscaled and finite.
            z: float64 (m,), z of each row's bar.
        """
        ai1, ai2, ai3 = self.scores(self.scaled(rows, z))
        return Predictions(
            return_prob=self._models.ai1.isotonic.probability(ai1),
            risk_score=self._models.ai2.isotonic.probability(ai2),
            excursion=np.maximum(ai3, 0.0),
        )

    def scaled(self, rows: Floats, z: Floats) -> Floats:
        """What the models see, float64 (m, k): the inputs of `predict` in the trade's direction, scaled."""
        return self._models.scalers.transform(align_to_reversion(rows, self._columns, z))

    def scores(self, scaled: Floats) -> tuple[Floats, Floats, Floats]:
        """Raw scores of AI1, AI2 (log-odds) and AI3 (share of gross), float64 (m,) each."""
        ai1, ai2, ai3 = self._trees
        return ai1.score(scaled), ai2.score(scaled), ai3.score(scaled)

    def importance(self) -> tuple[Floats, Floats, Floats]:
        """Share of each column in AI1's, AI2's and AI3's scores, float64 (k,) each, in percent."""
        ai1, ai2, ai3 = self._trees
        return ai1.importance(), ai2.importance(), ai3.importance()
