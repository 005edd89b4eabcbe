"""Everything up to t stays the same to the last bit when every bar after t is replaced by noise (SPEC FEAT-4, S9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.config.core_policy import CorePolicy
from core.config.retrain_policy import CrossValidation, LeakCertificate
from core.features.batch import build_features
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import Floats, Ints, PairBars
from core.models.leakage.certificate import Check, conclude
from core.models.leakage.moments import Moment, draw_moments, window_ends
from core.models.leakage.noise import noise_after
from core.models.learning import Learning
from core.models.pooling import pool_pairs
from core.models.predictor import Predictions
from core.models.samples import Pool, Samples
from core.models.walk_forward import StepResult, predict_step

Decide = Callable[[Predictions, Floats], Floats]
"""Predictions and z of m starts in, whatever is decided on them out: float64 (m, k)."""

_HELD = ("alpha", "spread_mean", "spread_sd")


@dataclass(frozen=True)
class Learned:
    """A training's inputs, and what it learned and predicted of them."""

    bars: Mapping[str, PairBars]
    tables: Mapping[str, FeatureTable]
    core: CorePolicy
    validation: CrossValidation
    pool: Pool
    learning: Learning
    steps: tuple[StepResult, ...]


@dataclass
class _Tally:
    """Comparisons made and what was found, so far."""

    count: int = 0
    found: list[str] = field(default_factory=list)

    def compare(self, one: Floats, other: Floats, told: Callable[[Ints], str]) -> None:
        """Bit for bit; a NaN equals a NaN."""
        self.count += one.size
        if one.shape != other.shape:
            self.found.append(told(np.zeros(0, dtype=np.int64)))
            return
        same = same_bits(one, other)
        differ = np.flatnonzero(~(same if same.ndim == 1 else same.all(axis=1)))
        if differ.size:
            self.found.append(told(differ))


def same_bits(one: Floats, other: Floats) -> NDArray[np.bool_]:
    """Where two float64 arrays of one shape hold the same bits or both no number."""
    bits = np.ascontiguousarray(one).view(np.int64) == np.ascontiguousarray(other).view(np.int64)
    return np.asarray(bits | (np.isnan(one) & np.isnan(other)), dtype=np.bool_)


def check_future_noise(
    learned: Learned, policy: LeakCertificate, decide: Decide, random: np.random.Generator
) -> tuple[Check, ...]:
    """Draw moments, replace what comes after them, and compare what had to stay.

    At each of `moments` all pairs are cut at one time: features, starts and labels up to it are compared, and at the
    first `refits` of them the walk-forward step it falls into is fitted and predicted again from the changed bars. At
    each of `window_ends` every pair is cut at the last bar of a label window of its own that the next bar could still
    have changed, which is where a label that looks one bar too far shows.
    """
    features, labels, predictions, decisions = (_Tally() for _ in range(4))
    scales = policy.noise_scales
    tail = learned.core.label.ai1.horizon_bars + learned.validation.purge_bars + 1
    open_ends = window_ends(learned.pool, learned.bars, learned.tables, learned.core)
    refits: list[tuple[Moment, Pool, Future[StepResult]]] = []
    # CatBoost trains without holding the interpreter: the refits run while the other moments are compared.
    with ThreadPoolExecutor(policy.refits) as threads:
        for number, moment in enumerate(draw_moments(learned.pool, learned.steps, policy.moments, random)):
            cuts = {pair_id: _last_known(bars, moment.at) for pair_id, bars in learned.bars.items()}
            ends = {pair_id: len(bars) for pair_id, bars in learned.bars.items()}
            pool = _compare_learned(learned, cuts, ends, scales[number % len(scales)], random, features, labels)
            if number < policy.refits:
                step = learned.steps[moment.step].step
                refits.append((moment, pool, threads.submit(predict_step, pool, learned.learning, step)))
        for number in range(policy.window_ends):
            cuts = {pair_id: int(random.choice(own)) for pair_id, own in open_ends.items()}
            ends = {pair_id: min(len(learned.bars[pair_id]), cut + 1 + tail) for pair_id, cut in cuts.items()}
            _compare_learned(learned, cuts, ends, scales[number % len(scales)], random, features, labels)
    for moment, pool, refit in refits:
        _compare_predicted(learned, pool, refit.result(), moment, decide, predictions, decisions)
    after = "with the same when every later bar is noise, bit for bit"
    return tuple(
        conclude(f"future_noise_{name}", f"{what} {after}", tally.count, tally.found)
        for name, what, tally in (
            ("features", "features trained on, up to each moment", features),
            ("labels", "starts, model inputs and labels known up to each moment", labels),
            ("predictions", "predictions of a step up to the moment within it, its models fitted again", predictions),
            ("decisions", "decisions and sizes taken from those predictions", decisions),
        )
    )


def _compare_learned(
    learned: Learned,
    cuts: Mapping[str, int],
    ends: Mapping[str, int],
    scale: float,
    random: np.random.Generator,
    features: _Tally,
    labels: _Tally,
) -> Pool:
    windows = learned.core.feature_windows
    bars = {
        pair_id: noise_after(learned.bars[pair_id], cut, ends[pair_id], scale=scale, window=windows.z, random=random)
        for pair_id, cut in cuts.items()
    }
    tables = {pair_id: build_features(pair, windows) for pair_id, pair in bars.items()}
    pool = pool_pairs(bars, tables, learned.core, learned.validation)
    for number, (pair_id, cut) in enumerate(sorted(cuts.items())):
        ts = learned.bars[pair_id].ts
        for name in (*FEATURE_COLUMNS, *_HELD):
            features.compare(
                _column(learned.tables[pair_id], name)[: cut + 1],
                _column(tables[pair_id], name)[: cut + 1],
                lambda at, name=name, pair_id=pair_id, ts=ts, cut=cut: (  # type: ignore[misc]
                    f"{name} of {pair_id} at {_bar(ts, at)} changes with bars after {ts[cut]}"
                ),
            )
        _compare_labels(learned, pool.samples, number, pair_id, cut, labels)
    return pool


def _compare_labels(learned: Learned, noisy: Samples, number: int, pair_id: str, cut: int, labels: _Tally) -> None:
    """Starts up to the cut and their inputs; labels whose window ends by then.

    A position is not left at a filled or spike bar, so a label whose window ends at one is compared once the purge
    after it has passed.
    """
    bars, horizon = learned.bars[pair_id], learned.core.label.ai1.horizon_bars
    before, after = (
        samples.take((samples.pair == number) & (samples.bar <= cut)) for samples in (learned.pool.samples, noisy)
    )

    def told(what: str) -> Callable[[Ints], str]:
        return lambda at: f"{what} of {pair_id} at {_bar(before.ts, at)} change with bars after {bars.ts[cut]}"

    if not np.array_equal(before.bar, after.bar):
        labels.compare(before.bar.astype(np.float64), after.bar.astype(np.float64), told("starts"))
        return
    labels.compare(np.column_stack((before.z, before.rows)), np.column_stack((after.z, after.rows)), told("inputs"))
    last = before.bar + horizon
    settled = (bars.filled == 0) & (bars.spike == 0)
    known = (last <= cut) & settled[np.minimum(last, len(bars) - 1)]
    known |= last + learned.validation.purge_bars <= cut
    for name in ("ai1", "ai2", "ai3"):
        values = np.where(known, getattr(before, name), 0.0), np.where(known, getattr(after, name), 0.0)
        labels.compare(*values, told(f"labels {name}"))


def _compare_predicted(
    learned: Learned,
    noisy: Pool,
    again: StepResult,
    moment: Moment,
    decide: Decide,
    predictions: _Tally,
    decisions: _Tally,
) -> None:
    kept = learned.steps[moment.step]
    sides = []
    for result, pool in ((kept, learned.pool), (again, noisy)):
        decided = pool.samples.ts[result.at] + pool.timeframe_seconds <= moment.at
        known = Predictions(*(column[decided] for column in result.predictions))
        z = pool.samples.z[result.at[decided]]
        sides.append((np.column_stack(known), decide(known, z), pool.samples.ts[result.at[decided]]))
    (one, one_decided, ts), (other, other_decided, _) = sides

    def told(what: str) -> Callable[[Ints], str]:
        return lambda at: f"{what} of step {kept.step.name} at {_bar(ts, at)} change with bars after {moment.at}"

    predictions.compare(one, other, told("predictions"))
    decisions.compare(one_decided, other_decided, told("decisions"))


def _last_known(bars: PairBars, at: int) -> int:
    """The last bar that has closed at a moment, -1 when none has."""
    return int(np.searchsorted(bars.ts + bars.timeframe_seconds, at, side="right")) - 1


def _column(table: FeatureTable, name: str) -> Floats:
    values: Floats = getattr(table, name) if name in _HELD else table.column(name)
    return values


def _bar(ts: Ints, at: Ints) -> str:
    return f"{at.size} bars, the first opening at {ts[at[0]]}," if at.size else "another number of bars"
