"""What a fit learned from, kept beside what it learned, for the leak certificate to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.features.scaling import Scalers
from core.market.pairs import Floats, Ints
from core.models.calibration import Isotonic
from core.models.learning import TargetName


@dataclass(frozen=True)
class FoldRecord:
    """One fold: int64 numbers (`Samples.number`) of its training and validation rows, and the scalers of the former."""

    train: Ints
    test: Ints
    scalers: Scalers


@dataclass(frozen=True)
class FitRecord:
    """One fit.

    Attributes:
        train: int64 (n,), numbers of the rows of the refit, in the order of their time.
        scalers: of the refit.
        folds: of the cross-validation.
        unseen_scores: by target, float64 (n,): the raw scores a calibration is fitted on, in the order of `train`.
        calibrations: of the classifiers.
    """

    train: Ints
    scalers: Scalers
    folds: tuple[FoldRecord, ...]
    unseen_scores: Mapping[TargetName, Floats]
    calibrations: Mapping[TargetName, Isotonic]
