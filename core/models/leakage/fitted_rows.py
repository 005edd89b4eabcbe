"""Scalers and calibrations are what their own rows give, and no other row was near them (SPEC FEAT-3, TRN-1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from core.features.alignment import align_to_reversion
from core.features.scaling import Scalers, fit_scalers
from core.market.pairs import Floats
from core.models.boosting import Trees, fit_trees
from core.models.calibration import fit_isotonic
from core.models.fit_record import FitRecord
from core.models.leakage.certificate import Check, conclude
from core.models.learning import Learning, Target
from core.models.samples import Pool


@dataclass(frozen=True)
class FittedRows:
    """All rows of a pool as the fits saw them, float64 (n, k), and what they were fitted with."""

    pool: Pool
    learning: Learning
    aligned: Floats

    @classmethod
    def of(cls, pool: Pool, learning: Learning) -> FittedRows:
        return cls(pool, learning, align_to_reversion(pool.samples.rows, learning.columns, pool.samples.z))


def check_scalers(fits: Mapping[str, FitRecord], rows: FittedRows, again: tuple[str, ...]) -> Check:
    """The scalers of every fit, and of every fold of the fits named in `again`, are what their training rows give."""
    count, found = 0, []
    for name, record in fits.items():
        scaled = [(record.scalers, record.train, "the refit")]
        if name in again:
            scaled += [(fold.scalers, fold.train, f"fold {number}") for number, fold in enumerate(record.folds, 1)]
        for scalers, train, place in scaled:
            count += 1
            expected = fit_scalers(rows.aligned[train], rows.learning.columns, rows.learning.scaling)
            if not _same_scalers(scalers, expected):
                found.append(f"fit {name}, {place}: the scalers are not those of its {train.size} training rows")
    return conclude(
        "scalers", "medians and divisors of fits and folds with those their training rows alone give", count, found
    )


def check_calibrations(
    fits: Mapping[str, FitRecord], rows: FittedRows, again: tuple[str, ...], random: np.random.Generator
) -> Check:
    """Every calibration rests on scores of models that had not seen the rows scored.

    For every fit: each row was validated by one fold, whose training rows `check_folds` looks at, and the calibration
    is, bit for bit, what the kept scores give. For the fits named in `again`: one fold drawn by chance is fitted once
    more on its training rows alone and gives the kept scores, bit for bit.
    """
    count, found = 0, []
    for name, record in fits.items():
        problems = list(_calibration_problems(record, rows))
        if name in again:
            problems += _score_problems(record, rows, int(random.integers(len(record.folds))))
            count += len(record.calibrations)
        count += len(record.calibrations)
        found += [f"fit {name}: {problem}" for problem in problems]
    return conclude(
        "calibrations",
        "calibrations with those the validation scores give, and scores of one fold with those of a model fitted again",
        count,
        found,
    )


def _calibration_problems(record: FitRecord, rows: FittedRows) -> Iterator[str]:
    tested = np.concatenate([fold.test for fold in record.folds])
    if not np.array_equal(np.sort(tested), np.sort(record.train)):
        yield "its folds do not validate every row once"
    for target in _classifiers(rows.learning):
        kept = record.calibrations[target.name]
        labels = target.values(rows.pool.samples)[record.train]
        again = fit_isotonic(record.unseen_scores[target.name], labels)
        if not (np.array_equal(kept.x, again.x) and np.array_equal(kept.y, again.y)):
            yield f"the calibration of {target.name} is not fitted on the validation scores"


def _score_problems(record: FitRecord, rows: FittedRows, number: int) -> list[str]:
    fold, learning = record.folds[number], rows.learning
    scalers = fit_scalers(rows.aligned[fold.train], learning.columns, learning.scaling)
    place = np.searchsorted(record.train, fold.test)
    problems = []
    for target in _classifiers(learning):
        labels = target.values(rows.pool.samples)[fold.train]
        trees = fit_trees(
            scalers.transform(rows.aligned[fold.train]),
            labels,
            target.weights(labels),
            loss=target.loss,
            centred=target.centred,
            parameters=target.parameters,
            seed=learning.seed,
        )
        scores = Trees(trees).score(scalers.transform(rows.aligned[fold.test]))
        if not np.array_equal(scores, record.unseen_scores[target.name][place]):
            problems.append(f"{target.name} scored fold {number + 1} with more than its training rows")
    return problems


def _classifiers(learning: Learning) -> tuple[Target, Target]:
    return learning.ai1, learning.ai2


def _same_scalers(one: Scalers, other: Scalers) -> bool:
    return one.columns == other.columns and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("median", "divisor", "clip")
    )
