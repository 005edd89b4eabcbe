"""Walk-forward: reproducible, the same with any number of processes, and blind to the future."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.config.core_policy import CorePolicy
from core.config.retrain_policy import RetrainPolicy
from core.errors import BlockedError, TransientError
from core.features.batch import build_features
from core.market.pairs import PairBars
from core.models.artifact import dump
from core.models.checks import check_pool
from core.models.folds import split_folds
from core.models.learning import Learning, plan_learning
from core.models.pooling import pool_pairs
from core.models.predictor import Predictor
from core.models.report import training_metrics
from core.models.samples import Pool
from core.models.walk_forward import fit_all, predict_step, walk_forward
from core.models.windows import Step, Windows, plan_windows
from tests.unit.labels.synthetic import HOUR, pair_bars
from tests.unit.models.synthetic import policies, random_pool


def _plan(pool: Pool) -> tuple[Windows, Learning, CorePolicy, RetrainPolicy]:
    core, retrain = policies()
    policy = retrain.walk_forward.model_copy(update={"first_training_days": 80, "adoption_window_months": 1})
    return plan_windows(pool.timeline, HOUR, policy), plan_learning(core, retrain), core, retrain


def test_processes_change_nothing_and_report_progress() -> None:
    pool = random_pool(11, 3_300)
    windows, learning, _, _ = _plan(pool)
    seen: list[tuple[int, int]] = []
    spread = walk_forward(pool, windows, learning, 2, lambda done, total: seen.append((done, total)))
    assert seen == [(done, len(windows.steps) + 1) for done in range(1, len(windows.steps) + 2)]
    assert [result.step for result in spread.steps] == list(windows.steps)
    for result in spread.steps:
        alone = predict_step(pool, learning, result.step)
        np.testing.assert_array_equal(result.at, alone.at)
        np.testing.assert_array_equal(np.array(result.predictions), np.array(alone.predictions))
    here = fit_all(pool, learning).models
    there = spread.final.models
    assert [dump(m) for m in (here.ai1, here.ai2, here.ai3)] == [dump(m) for m in (there.ai1, there.ai2, there.ai3)]


def test_every_start_is_predicted_once_cut_off_ones_too() -> None:
    pool = random_pool(11, 3_300)
    windows, learning, _, _ = _plan(pool)
    results = [predict_step(pool, learning, step) for step in windows.steps]
    at = np.concatenate([result.at for result in results])
    np.testing.assert_array_equal(at, np.flatnonzero(pool.samples.ts >= windows.first_prediction))
    assert not pool.samples.labelled[at].all()
    trained = [result.trained_on for result in results]
    assert trained == sorted(trained)
    for result in results:
        assert np.isfinite(np.array(result.predictions)).all()
        assert ((result.predictions.return_prob >= 0) & (result.predictions.return_prob <= 1)).all()


def test_a_refusal_in_a_worker_reaches_the_caller() -> None:
    pool = random_pool(11, 3_300)
    windows, learning, _, _ = _plan(pool)
    one_class = replace(pool, samples=replace(pool.samples, ai1=np.ones(len(pool.samples))))
    with pytest.raises(BlockedError, match="MODEL_LABEL_ONE_CLASS") as raised:
        walk_forward(one_class, windows, learning, 1, lambda done, total: None)
    assert "ai1" in raised.value.message


def test_a_killed_worker_is_transient_and_does_not_hang() -> None:
    pool = random_pool(11, 3_300)
    windows, learning, _, _ = _plan(pool)

    def kill(done: int, total: int) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(TransientError, match="MODEL_WORKER_LOST"):
        walk_forward(pool, windows, learning, 1, kill)


def _market(seed: int, n: int) -> PairBars:
    rng = np.random.default_rng(seed)
    trend = np.cumsum(rng.normal(0.0, 0.002, n))
    spread = np.zeros(n)
    for i in range(1, n):
        spread[i] = 0.97 * spread[i - 1] + rng.normal(0.0, 0.002)
    return pair_bars(np.exp(trend + spread), np.exp(trend), pair_id=f"P{seed}")


def _noise_after(bars: PairBars, cut: int) -> PairBars:
    """The same bars up to and including `cut`, others after it."""
    other = _market(999, len(bars))
    prices = [name for name in vars(bars) if name.endswith(("_a", "_b"))]
    mixed: dict[str, Any] = {
        name: np.concatenate((getattr(bars, name)[: cut + 1], getattr(other, name)[cut + 1 :])) for name in prices
    }
    return replace(bars, **mixed)


def test_noise_after_t_leaves_all_learned_and_predicted_up_to_t_untouched() -> None:
    core, retrain = policies(min_block_bars=60)
    windows, learning = core.feature_windows, plan_learning(core, retrain)
    market = {f"P{seed}": _market(seed, 4_200) for seed in range(3)}
    cut = 3_312
    noisy = {name: _noise_after(bars, cut) for name, bars in market.items()}
    step = Step("1970-05", 3_300 * HOUR, 3_900 * HOUR)
    pools = [
        pool_pairs(
            world,
            {name: build_features(bars, windows) for name, bars in world.items()},
            core,
            retrain.cross_validation,
        )
        for world in (market, noisy)
    ]
    real, other = (pool.samples.take(pool.samples.known_before(step.start)) for pool in pools)
    assert len(real) > 300
    for name in vars(real):
        np.testing.assert_array_equal(getattr(real, name), getattr(other, name))
    predicted = []
    for pool in pools:
        result = predict_step(pool, learning, step)
        past = pool.samples.ts[result.at] <= cut * HOUR
        assert past.any()
        assert not past.all()
        predicted.append(np.array(result.predictions)[:, past])
    np.testing.assert_array_equal(predicted[0], predicted[1])


def test_metrics_name_everything_a_verdict_needs() -> None:
    pool = random_pool(11, 3_300)
    windows, learning, core, retrain = _plan(pool)
    rates = check_pool(pool, windows, retrain.model_copy(update={"min_starts": 50}))
    walked = walk_forward(pool, windows, learning, 2, lambda done, total: None)
    metrics = training_metrics(
        pool, windows, learning, walked, quantile=core.label.ai3.quantile, theta2=0.3, base_rates=rates
    )
    assert set(metrics) == {
        "base_rates", "samples", "cv", "oos", "calibration", "feature_importance", "windows",
    }  # fmt: skip
    assert {"auc", "brier", "logloss", "pr_auc", "ece", "f1_weighted"} <= set(metrics["oos"]["ai2"])
    assert "ece" not in metrics["cv"]["ai1"]
    assert sum(metrics["feature_importance"]["ai1"].values()) == pytest.approx(100.0)
    assert metrics["samples"]["out_of_sample"] >= metrics["samples"]["out_of_sample_labelled"] > 0


def test_too_few_starts_or_a_degenerate_label_block() -> None:
    pool = random_pool(11, 3_300)
    windows, _, _, retrain = _plan(pool)
    with pytest.raises(BlockedError, match="MODEL_STARTS_FEW"):
        check_pool(pool, windows, retrain.model_copy(update={"min_starts": 1_000_000}))
    safe = replace(pool, samples=replace(pool.samples, ai2=np.zeros(len(pool.samples))))
    with pytest.raises(BlockedError, match=r"MODEL_LABEL_DEGENERATE.*0\.0% of the labels of ai2"):
        check_pool(safe, windows, retrain.model_copy(update={"min_starts": 50}))


def _in_block(pool: Pool, learning: Learning, number: int) -> np.ndarray:
    """The labelled starts that fold `number` of the fit on all data validates."""
    train = pool.samples.take(pool.samples.labelled)
    fold = split_folds(train, pool.timeline, learning.validation)[number]
    inside: np.ndarray = np.isin(pool.samples.number, train.number[fold.test])
    return inside


def test_a_fold_validated_without_a_positive_is_calibrated_on_the_others_in_finite_numbers() -> None:
    pool = random_pool(11, 3_300)
    _, learning, _, _ = _plan(pool)
    inside = _in_block(pool, learning, 2)
    samples = replace(pool.samples, ai2=np.where(inside, 0.0, pool.samples.ai2))
    fit = fit_all(replace(pool, samples=samples), learning)
    (fold,) = [fold for fold in fit.record.folds if samples.ai2[fold.test].max() == 0.0]
    assert samples.ai2[fold.train].max() == 1.0
    predictions = Predictor(fit.models, learning.columns).predict(samples.rows, samples.z)
    assert np.isfinite(np.array(predictions)).all()
    assert ((predictions.risk_score >= 0.0) & (predictions.risk_score <= 1.0)).all()


def test_a_fold_that_would_learn_without_a_positive_blocks_and_is_named() -> None:
    pool = random_pool(11, 3_300)
    _, learning, _, _ = _plan(pool)
    inside = _in_block(pool, learning, 2)
    samples = replace(pool.samples, ai2=np.where(inside, pool.samples.ai2, 0.0 * pool.samples.ai2))
    assert samples.ai2[inside].max() == 1.0
    with pytest.raises(BlockedError, match=r"MODEL_LABEL_ONE_CLASS.* training labels of ai2 are 0"):
        fit_all(replace(pool, samples=samples), learning)


def test_predictions_of_no_row_are_empty() -> None:
    pool = random_pool(11, 3_300)
    _, learning, _, _ = _plan(pool)
    predictor = Predictor(fit_all(pool, learning).models, learning.columns)
    assert [column.shape for column in predictor.predict(pool.samples.rows[:0], pool.samples.z[:0])] == [(0,)] * 3


def test_class_weights_lift_the_rarer_class_by_five_at_most() -> None:
    core, retrain = policies()
    ai2 = plan_learning(core, retrain).ai2
    quarter, tenth = np.array([1.0, 0.0, 0.0, 0.0]), np.array([1.0] + [0.0] * 9)
    assert ai2.weights(quarter).tolist() == [3.0, 1.0, 1.0, 1.0]  # type: ignore[union-attr]
    assert ai2.weights(tenth)[0] == 5.0  # type: ignore[index]
    assert ai2.weights(1.0 - tenth).tolist() == [5.0] + [1.0] * 9  # type: ignore[union-attr]
    assert plan_learning(core, retrain).ai1.weights(quarter) is None
