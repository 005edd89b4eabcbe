"""Nothing a fold learns from overlaps what it is validated on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import BlockedError
from core.models.folds import split_folds
from core.models.pooling import pool_pairs
from tests.unit.models.synthetic import policies, random_pairs, random_pool


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1_300, 2_500),
    pairs=st.integers(1, 4),
    folds=st.integers(2, 5),
    purge=st.integers(0, 60),
    embargo=st.integers(0, 60),
)
@example(seed=0, n=1_300, pairs=1, folds=5, purge=0, embargo=0)
def test_no_training_window_meets_a_validation_window(
    seed: int, n: int, pairs: int, folds: int, purge: int, embargo: int
) -> None:
    core, retrain = policies(folds=folds, purge_bars=purge, embargo_bars=embargo, min_block_bars=200)
    bars, tables = random_pairs(seed, n, pairs)
    pool = pool_pairs(bars, tables, core, retrain.cross_validation)
    samples = pool.samples.take(pool.samples.labelled)
    found = split_folds(samples, pool.timeline, retrain.cross_validation)
    np.testing.assert_array_equal(np.concatenate([fold.test for fold in found]), np.arange(len(samples)))
    horizon = core.label.ai1.horizon_bars
    for fold in found:
        test, train = samples.take(fold.test), samples.take(fold.train)
        first, last = test.window_start.min(), test.window_end.max()
        assert not ((train.window_start <= last) & (train.window_end >= first)).any()
        for pair, bar, starts, ends in zip(train.pair, train.bar, train.window_start, train.window_end, strict=True):
            closes = bars[pool.pair_ids[pair]].ts + 3600
            if ends < first:
                assert ((closes > closes[bar + horizon]) & (closes < first)).sum() >= purge
            else:
                assert ((closes > last) & (closes < starts)).sum() >= embargo


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), at=st.integers(0, 2_000))
def test_a_step_learns_only_what_was_known_before_it(seed: int, at: int) -> None:
    pool = random_pool(seed, 1_500)
    moment = at * 3600
    train = pool.samples.take(pool.samples.known_before(moment))
    assert (train.window_end + 24 * 3600 <= moment).all()
    assert train.labelled.all()


def test_folds_take_nearly_equal_time() -> None:
    pool = random_pool(1, 2_500)
    samples = pool.samples.take(pool.samples.labelled)
    _, retrain = policies()
    edges = [samples.ts[fold.test[0]] for fold in split_folds(samples, pool.timeline, retrain.cross_validation)]
    lengths = np.diff(edges)
    assert lengths.max() < 1.1 * lengths.min()


def test_short_blocks_block() -> None:
    pool = random_pool(1, 1_100)
    samples = pool.samples.take(pool.samples.labelled)
    _, retrain = policies()
    with pytest.raises(BlockedError, match="MODEL_FOLDS_SHORT"):
        split_folds(samples, pool.timeline, retrain.cross_validation)
    with pytest.raises(BlockedError, match="MODEL_FOLDS_SHORT"):
        split_folds(samples.take(samples.ts < 0), pool.timeline, retrain.cross_validation)


def test_the_order_of_pairs_does_not_matter() -> None:
    core, retrain = policies()
    bars, tables = random_pairs(3, 600, 3)
    backwards = dict(reversed(bars.items()))
    one = pool_pairs(bars, tables, core, retrain.cross_validation)
    two = pool_pairs(backwards, tables, core, retrain.cross_validation)
    assert one.pair_ids == two.pair_ids
    np.testing.assert_array_equal(one.samples.rows, two.samples.rows)
    assert (np.diff(one.samples.ts) >= 0).all()
