"""What is learned of each start: the three targets and how each is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.config.core_policy import CorePolicy, Label, Scaling
from core.config.retrain_policy import CatBoostParameters, CrossValidation, RetrainPolicy
from core.market.pairs import Floats
from core.models.samples import Samples

TargetName = Literal["ai1", "ai2", "ai3"]


@dataclass(frozen=True)
class Target:
    """One model's target.

    Attributes:
        name: its column in `Samples`.
        loss: CatBoost's name of the loss.
        centred: whether scores are relative to their mean over the training rows. Each validation fold is scored by a
            model whose base rate lacks just that fold; pooled as they are, such scores run against the labels and
            flatten the calibration.
        parameters: CatBoost's parameters.
        class_weight_max: largest ratio of the two classes' weights, None where rows weigh the same.
    """

    name: TargetName
    loss: str
    centred: bool
    parameters: CatBoostParameters
    class_weight_max: float | None

    def values(self, samples: Samples) -> Floats:
        """Labels float64 (n,); NaN where the label window is cut off."""
        labels: Floats = getattr(samples, self.name)
        return labels

    def weights(self, labels: Floats) -> Floats | None:
        """A weight a row: the rarer class is raised to the other's total, by class_weight_max at most."""
        if self.class_weight_max is None:
            return None
        ones = float(labels.sum())
        zeros = labels.size - ones
        of_one = min(max(1.0, zeros / ones), self.class_weight_max)
        of_zero = min(max(1.0, ones / zeros), self.class_weight_max)
        return np.asarray(np.where(labels == 1.0, of_one, of_zero), dtype=np.float64)


@dataclass(frozen=True)
class Learning:
    """Everything a fit depends on besides its samples."""

    columns: tuple[str, ...]
    scaling: Scaling
    ai1: Target
    ai2: Target
    ai3: Target
    validation: CrossValidation
    seed: int


def plan_learning(core: CorePolicy, retrain: RetrainPolicy) -> Learning:
    """The three targets as the policies have them (SPEC TRN-1, LAB-2, S8)."""
    label: Label = core.label
    return Learning(
        columns=tuple(core.model_inputs),
        scaling=core.scaling,
        ai1=Target("ai1", "Logloss", True, retrain.models.ai1, None),
        ai2=Target("ai2", "Logloss", True, retrain.models.ai2, label.ai2.class_weight_max),
        ai3=Target("ai3", f"Quantile:alpha={label.ai3.quantile}", False, retrain.models.ai3, None),
        validation=retrain.cross_validation,
        seed=retrain.seed,
    )
