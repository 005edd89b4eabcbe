"""Moments after which the future is replaced, drawn by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.config.core_policy import CorePolicy
from core.features.table import FeatureTable
from core.labels.exits import ExitReason, scan_paths
from core.market.pairs import Ints, PairBars
from core.models.samples import Pool
from core.models.walk_forward import StepResult


@dataclass(frozen=True)
class Moment:
    """A close `at` (epoch seconds UTC) at which some label becomes known, and the number of the step it lies in."""

    at: int
    step: int


def draw_moments(
    pool: Pool, steps: tuple[StepResult, ...], wanted: int, random: np.random.Generator
) -> tuple[Moment, ...]:
    """`wanted` different moments (fewer where there are not so many) after some prediction of the step they lie in."""
    samples = pool.samples
    begins = np.array([result.step.start for result in steps], dtype=np.int64)
    predicted = np.sort(samples.ts[np.concatenate([result.at for result in steps])]) + pool.timeframe_seconds
    ends = np.unique(samples.window_end[samples.labelled])
    ends = ends[(ends >= begins[0]) & (ends < steps[-1].step.end)]
    within = np.searchsorted(begins, ends, side="right") - 1
    seen = np.searchsorted(predicted, ends, side="right") - np.searchsorted(predicted, begins[within], side="right")
    usable = np.flatnonzero(seen > 0)
    drawn = random.permutation(usable)[:wanted]
    return tuple(Moment(int(ends[index]), int(within[index])) for index in drawn)


def window_ends(
    pool: Pool, bars: Mapping[str, PairBars], tables: Mapping[str, FeatureTable], core: CorePolicy
) -> dict[str, Ints]:
    """For every pair, last bars of label windows the next bar could still change, int64.

    Those are the windows with no risk event whose position is held to their end: they have not reverted either, and a
    larger adverse move was still possible. Where a pair has none of them, ends of other windows are given, and its last
    bar where it has no label.
    """
    horizon = core.label.ai1.horizon_bars
    labelled = pool.samples.take(pool.samples.labelled)
    ends: dict[str, Ints] = {}
    for number, pair_id in enumerate(pool.pair_ids):
        own = labelled.take(labelled.pair == number)
        paths = scan_paths(bars[pair_id], tables[pair_id], own.bar, core.label, core.decision)
        held = (paths.reason == ExitReason.HORIZON) & (paths.exit_decision == own.bar + horizon)
        for chosen in (held & (own.ai2 == 0.0), held, np.ones(len(own), dtype=np.bool_)):
            if chosen.any():
                ends[pair_id] = own.bar[chosen] + horizon
                break
        else:
            ends[pair_id] = np.array([len(bars[pair_id]) - 1])
    return ends
