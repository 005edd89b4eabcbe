"""Columns of the feature set and the table that carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from core.config.core_policy import FeatureName

FEATURE_COLUMNS: Final[tuple[str, ...]] = get_args(FeatureName)
"""Order of the columns of `FeatureTable.values` and of every exported file (FORMULAS.md)."""


@dataclass(frozen=True)
class FeatureTable:
    """Unscaled features of one pair, row i belonging to bar i of its `PairBars` and known at that bar's close.

    `values` is float64 (n, 20) in the order of FEATURE_COLUMNS; NaN until a window is full. `alpha`, `spread_mean` and
    `spread_sd` (n,) are what a position opened on bar i holds from its start: the intercept of the hedge regression and
    the mean and sd of the spread behind z.
    """

    pair_id: str
    ts: NDArray[np.int64]
    segment: NDArray[np.int64]
    values: NDArray[np.float64]
    alpha: NDArray[np.float64]
    spread_mean: NDArray[np.float64]
    spread_sd: NDArray[np.float64]

    def column(self, name: str) -> NDArray[np.float64]:
        """One feature as a float64 (n,) view. Raises ValueError for an unknown name."""
        return self.values[:, FEATURE_COLUMNS.index(name)]
