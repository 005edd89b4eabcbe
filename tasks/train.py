"""train: walk the models forward month by month, then fit them on all data (SPEC TRN-1 to TRN-4, S9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from core.config.settings import Settings
from core.features.schema import FeatureSchema, schema_definition
from core.features.table import FeatureTable
from core.market.pairs import PairBars
from core.models.artifact import dump
from core.models.checks import check_pool
from core.models.leakage.future_noise import Learned
from core.models.learning import Learning, plan_learning
from core.models.pooling import pool_pairs
from core.models.report import training_metrics
from core.models.samples import Pool
from core.models.walk_forward import StepResult, WalkForward, fit_parts, part_names, walk_forward
from core.models.windows import Windows, plan_windows
from core.signals.sizing import position_scale
from core.stores.catalog_index import read_index
from core.stores.feature_cache import load_or_build
from core.stores.files import write_bytes, write_json
from core.stores.market_data import load_pairs
from core.stores.run_folder import RunFolder, RunIdentity
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.gates import Gate, require_gates
from tasks.leakage import certify_training
from tasks.replay_record import require_version, write_frame
from tasks.shard import Shard, ShardOption
from tasks.training_parts import TrainingParts, discard_parts, known_parts

app = typer.Typer()


@app.command()
def train(
    command: typer.Context,
    run_id: Annotated[str, typer.Option(help="The run, as catalog printed it.")],
    model_version: Annotated[str, typer.Option(help="The version the run makes.")],
    shard: ShardOption = None,
) -> None:
    """Learn AI1, AI2 and AI3 from a run's bars, and predict every month from what was known before it.

    Example: python -m tasks --config configs train --run-id R --model-version V
    """

    def body(context: TaskContext) -> TaskResult:
        if shard is not None:
            return fit_shard(context, run_id, model_version, shard)
        return train_run(context, run_id, model_version)

    run_task(command, "train", body, shard)


def train_run(context: TaskContext, run_id: str, model_version: str) -> TaskResult:
    """The task's body. Writes train/ and model/ below runs_root/{run_id}/; the gate `predictions` follows.

    The same run gives the same bytes of every model file, whatever the number of workers, and whichever parts of the
    work shards have done before.

    Raises:
        InputError: the run is unknown or makes another version, or one of its gates up to `features` has not passed.
        BlockedError: too little history, too few starts, a degenerate label or a metric without a value.
        QualityError: the leak certificate does not hold; no model is written.
        TransientError: a training process died, or the disk is full.
    """
    settings, core = context.settings, context.settings.core_policy
    job = _prepare(context, run_id, model_version)
    run, pool, windows, learning = job.run, job.pool, job.windows, job.learning
    context.log.info(
        "pooled", starts=len(pool.samples), pairs=len(pool.pair_ids), steps=len(windows.steps), **job.rates
    )
    known = known_parts(context, run, pool, windows)
    walked = walk_forward(pool, windows, learning, settings.retrain_policy.workers, _advance(context), known)
    metrics = training_metrics(
        pool,
        windows,
        learning,
        walked,
        quantile=core.label.ai3.quantile,
        theta2=core.theta2_initial,
        base_rates=job.rates,
    )
    validation = settings.retrain_policy.cross_validation
    learned = Learned(job.bars, job.tables, core, validation, pool, learning, walked.steps)
    certify_training(run, job.identity, settings, learned, walked.final.record)
    predictions = predictions_frame(pool, walked.steps, settings)
    write_frame(run.oos_predictions, predictions)
    _write_models(run, walked, settings)
    write_json(run.metrics, metrics)
    discard_parts(run)
    return TaskResult(
        outputs={
            "run_dir": str(run.path),
            "starts": len(pool.samples),
            "out_of_sample": len(predictions),
            "steps": len(windows.steps),
        },
        metrics=_headline(metrics),
    )


def fit_shard(context: TaskContext, run_id: str, model_version: str, shard: Shard) -> TaskResult:
    """The body of one part of a training: its share of the walk-forward steps and of the fit on all data.

    Raises as `train_run` does, but looks at no leak certificate and no metric.
    """
    job = _prepare(context, run_id, model_version)
    parts = TrainingParts.of(context, job.run, job.pool)
    names, known = shard.part(part_names(job.windows)), parts.read(job.windows)
    missing = [name for name in names if name not in known]
    workers = context.settings.retrain_policy.workers
    parts.write(fit_parts(missing, job.pool, job.windows, job.learning, workers, _advance(context)))
    return TaskResult(outputs={"shard": str(shard), "fits": len(names), "fits_done": len(missing)})


@dataclass(frozen=True)
class _Training:
    """What a run learns from, and how; `rates` are the base rates of its labels."""

    run: RunFolder
    identity: RunIdentity
    bars: dict[str, PairBars]
    tables: dict[str, FeatureTable]
    pool: Pool
    windows: Windows
    rates: dict[str, float]
    learning: Learning


def _prepare(context: TaskContext, run_id: str, model_version: str) -> _Training:
    settings, run = context.settings, context.run(run_id)
    identity = require_version(run, model_version)
    require_gates(run, Gate.CANONICAL, Gate.INDEX, Gate.FEATURES)
    core, retrain = settings.core_policy, settings.retrain_policy
    bars, tables = _load(context, run, identity.timeframe)
    pool = pool_pairs(bars, tables, core, retrain.cross_validation)
    windows = plan_windows(pool.timeline, pool.timeframe_seconds, retrain.walk_forward)
    rates = check_pool(pool, windows, retrain)
    return _Training(run, identity, bars, tables, pool, windows, rates, plan_learning(core, retrain))


def _advance(context: TaskContext) -> Callable[[int, int], None]:
    return lambda done, total: context.progress.advance(done, total, "fits")


def predictions_frame(pool: Pool, steps: tuple[StepResult, ...], settings: Settings) -> pd.DataFrame:
    """oos_predictions.parquet: one row a start of the walk-forward period, in time order.

    Columns: pair_id, ts (datetime64[us, UTC], open of the decision bar), step (YYYY-MM), z, return_prob, risk_score,
    excursion (share of gross), position_scale, ai1, ai2, ai3 (NaN where the label window is cut off).
    """
    at = np.concatenate([result.at for result in steps])
    samples = pool.samples.take(at)
    return_prob, risk_score, excursion = (
        np.concatenate([result.predictions[place] for result in steps]) for place in range(3)
    )
    opens = samples.ts.astype("datetime64[s]").astype("datetime64[us]")
    return pd.DataFrame(
        {
            "pair_id": np.array(pool.pair_ids, dtype=object)[samples.pair],
            "ts": pd.to_datetime(opens, utc=True),
            "step": np.repeat([result.step.name for result in steps], [result.at.size for result in steps]),
            "z": samples.z,
            "return_prob": return_prob,
            "risk_score": risk_score,
            "excursion": excursion,
            "position_scale": position_scale(excursion, settings.core_policy.position_scale),
            "ai1": samples.ai1,
            "ai2": samples.ai2,
            "ai3": samples.ai3,
        }
    )


def _load(context: TaskContext, run: RunFolder, timeframe: str) -> tuple[dict[str, PairBars], dict[str, FeatureTable]]:
    """Bars of the partitions the run's index admits, and their features, from the cache where it has them."""
    settings, index = context.settings, read_index(run.dataset_index)
    bars = load_pairs(context.roots, settings, index, None)

    def warn(path: Path, problem: str) -> None:
        context.log.warning("feature_file_damaged", file=str(path), problem=problem)

    tables = {
        pair.id: load_or_build(
            context.roots.features, settings.core_policy, timeframe, pair, index, bars[pair.id], warn
        ).table
        for pair in settings.universe.pairs
    }
    return bars, tables


def _write_models(run: RunFolder, walked: WalkForward, settings: Settings) -> None:
    models = walked.final.models
    for name, model in (("ai1", models.ai1), ("ai2", models.ai2), ("ai3", models.ai3)):
        write_bytes(run.model / f"model_{name}.pkl", dump(model))
    schema = FeatureSchema(schema_definition(settings.core_policy), models.scalers)
    write_bytes(run.model / "feature_schema.json", schema.to_json())


def _headline(metrics: dict[str, Any]) -> dict[str, float]:
    """What a person following the run wants to see first: out of sample, and the base rates."""
    seen = metrics["oos"]
    return {
        "ai1_auc": seen["ai1"]["auc"],
        "ai1_brier": seen["ai1"]["brier"],
        "ai1_ece": seen["ai1"]["ece"],
        "ai1_base_rate": metrics["base_rates"]["ai1"],
        "ai2_auc": seen["ai2"]["auc"],
        "ai2_f1_weighted": seen["ai2"]["f1_weighted"],
        "ai2_base_rate": metrics["base_rates"]["ai2"],
        "ai3_coverage": seen["ai3"]["coverage"],
    }
