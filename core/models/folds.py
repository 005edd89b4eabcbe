"""Purged, embargoed K-fold in time blocks common to all pairs (SPEC TRN-1, S6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.config.retrain_policy import CrossValidation
from core.errors import BlockedError
from core.market.pairs import Ints
from core.models.samples import Samples


@dataclass(frozen=True)
class Fold:
    """Row numbers (int64) of a fold's training and validation samples."""

    train: Ints
    test: Ints


def split_folds(samples: Samples, timeline: Ints, policy: CrossValidation) -> tuple[Fold, ...]:
    """Cut time into `folds` blocks of equally many bars; each is validated once by what lies clear of it.

    A training sample is clear of a fold when its label window [t, t+M] ends more than purge_bars of its pair's bars
    before the fold's first decision, or starts more than embargo_bars after the fold's last label is known. So no
    training window meets a window of the fold, whichever pairs they belong to.

    Args:
        samples: labelled samples, sorted by ts.
        timeline: sorted unique bar opens (epoch seconds UTC) over all pairs.
        policy: number of folds, purge, embargo and least block length.

    Raises:
        BlockedError: MODEL_FOLDS_SHORT when a block has fewer than min_block_bars bars, or a fold is left without
            validation or training samples.
    """
    first, last = (samples.ts[0], samples.ts[-1]) if len(samples) else (0, -1)
    span = timeline[(timeline >= first) & (timeline <= last)]
    if span.size < policy.folds * policy.min_block_bars:
        raise _short(f"{span.size} bars between first and last sample make no {policy.folds} blocks", policy)
    edges = span[np.arange(1, policy.folds) * span.size // policy.folds]
    block = np.searchsorted(edges, samples.ts, side="right")
    folds: list[Fold] = []
    for number in range(policy.folds):
        test = np.flatnonzero(block == number)
        if test.size == 0:
            raise _short(f"block {number + 1} of {policy.folds} holds no sample", policy)
        before = samples.purged_end < samples.window_start[test].min()
        after = samples.embargoed_start > samples.window_end[test].max()
        train = np.flatnonzero(before | after)
        if train.size == 0:
            raise _short(f"no sample is clear of block {number + 1} of {policy.folds}", policy)
        folds.append(Fold(train=train, test=test))
    return tuple(folds)


def _short(found: str, policy: CrossValidation) -> BlockedError:
    return BlockedError(
        "MODEL_FOLDS_SHORT",
        f"purged cross-validation is not possible: {found}",
        where=f"retrain_policy.yaml cross_validation (folds {policy.folds}, min_block_bars {policy.min_block_bars})",
        remedy="import a longer history or more pairs, or lower folds or min_block_bars",
    )
