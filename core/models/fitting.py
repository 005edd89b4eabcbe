"""One fit: scale, cross-validate, calibrate, refit (SPEC TRN-1, S6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import BlockedError
from core.features.alignment import align_to_reversion
from core.features.scaling import Scalers, fit_scalers
from core.market.pairs import Floats, Ints
from core.models.artifact import Classifier, Quantile
from core.models.boosting import Trees, fit_trees
from core.models.calibration import fit_isotonic
from core.models.fit_record import FitRecord, FoldRecord
from core.models.folds import Fold, split_folds
from core.models.learning import Learning, Target
from core.models.samples import Samples


@dataclass(frozen=True)
class FittedModels:
    """The three models of one training period and the scalers of their inputs."""

    ai1: Classifier
    ai2: Classifier
    ai3: Quantile
    scalers: Scalers


@dataclass(frozen=True)
class Fit:
    """Fitted models and what they were fitted on."""

    models: FittedModels
    record: FitRecord


def fit_models(samples: Samples, timeline: Ints, learning: Learning, validate: tuple[Target, ...]) -> Fit:
    """Fit AI1, AI2 and AI3 on all `samples`.

    The classifiers' scores are calibrated on validation folds of the purged cross-validation, which serve nothing
    else. Scalers are fitted anew for each fold and for the refit, on the rows trained on.

    Args:
        samples: labelled samples, sorted by ts.
        timeline: sorted unique bar opens over all pairs.
        learning: targets and parameters.
        validate: targets to cross-validate; AI1 and AI2 must be among them.

    Raises:
        BlockedError: MODEL_FOLDS_SHORT, or MODEL_LABEL_ONE_CLASS where training rows show one outcome only.
    """
    folds = split_folds(samples, timeline, learning.validation)
    aligned = align_to_reversion(samples.rows, learning.columns, samples.z)
    scaled_by = tuple(fit_scalers(aligned[fold.train], learning.columns, learning.scaling) for fold in folds)
    unseen = {target.name: _score_folds(samples, aligned, folds, scaled_by, target, learning) for target in validate}
    scalers = fit_scalers(aligned, learning.columns, learning.scaling)
    rows = scalers.transform(aligned)

    def refit(target: Target) -> bytes:
        return _fit(rows, target.values(samples), target, learning.seed)

    def calibrated(target: Target) -> Classifier:
        return Classifier(refit(target), fit_isotonic(unseen[target.name], target.values(samples)))

    models = FittedModels(
        ai1=calibrated(learning.ai1), ai2=calibrated(learning.ai2), ai3=Quantile(refit(learning.ai3)), scalers=scalers
    )
    record = FitRecord(
        train=samples.number,
        scalers=scalers,
        folds=tuple(
            FoldRecord(samples.number[fold.train], samples.number[fold.test], scaled)
            for fold, scaled in zip(folds, scaled_by, strict=True)
        ),
        unseen_scores=unseen,
        calibrations={"ai1": models.ai1.isotonic, "ai2": models.ai2.isotonic},
    )
    return Fit(models, record)


def _score_folds(
    samples: Samples,
    aligned: Floats,
    folds: tuple[Fold, ...],
    scaled_by: tuple[Scalers, ...],
    target: Target,
    learning: Learning,
) -> Floats:
    scores = np.empty(len(samples))
    labels = target.values(samples)
    for fold, scalers in zip(folds, scaled_by, strict=True):
        trees = Trees(_fit(scalers.transform(aligned[fold.train]), labels[fold.train], target, learning.seed))
        scores[fold.test] = trees.score(scalers.transform(aligned[fold.test]))
    return scores


def _fit(rows: Floats, labels: Floats, target: Target, seed: int) -> bytes:
    if labels.min() == labels.max():
        raise BlockedError(
            "MODEL_LABEL_ONE_CLASS",
            f"all {labels.size} training labels of {target.name} are {labels[0]:g}: there is nothing to learn",
            where=f"core_policy.yaml label.{target.name}",
            remedy="check the label's limits and the bars of the training period",
        )
    return fit_trees(
        rows,
        labels,
        target.weights(labels),
        loss=target.loss,
        centred=target.centred,
        parameters=target.parameters,
        seed=seed,
    )
