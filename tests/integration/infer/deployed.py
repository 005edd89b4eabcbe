"""A deployed model whose every start passes, and the bars it looks at."""

from __future__ import annotations

import numpy as np

from core.config.retrain_policy import CatBoostParameters
from core.features.alignment import align_to_reversion
from core.features.batch import build_features
from core.features.scaling import fit_scalers
from core.features.schema import FeatureSchema, schema_definition
from core.labels.starts import find_starts
from core.market.pairs import Floats, PairBars
from core.models.artifact import Classifier, Quantile, dump
from core.models.boosting import fit_trees
from core.models.calibration import Isotonic
from core.stores.files import write_bytes
from core.stores.registry import Registry
from tasks.context import TaskContext
from tasks.publish import publish_model
from tests.integration.publish.judged_runs import judged_run

HOUR = 3600
FIRST = 1_672_531_200
TREES = CatBoostParameters(
    iterations=3,
    depth=2,
    learning_rate=0.1,
    l2_leaf_reg=3.0,
    border_count=16,
    subsample=0.5,
    leaf_estimation_iterations=1,
    thread_count=1,
)


def reverting_pair(pair_id: str, seed: int, bars: int = 1600) -> PairBars:
    """Hourly bars of two legs whose spread reverts with a half-life of 30 bars."""
    random = np.random.default_rng(seed)
    b = np.log(100.0) + np.cumsum(random.normal(0.0, 0.002, bars))
    spread = np.zeros(bars)
    for i in range(1, bars):
        spread[i] = spread[i - 1] * 0.5 ** (1 / 30) + random.normal(0.0, 0.001)
    close_a, close_b = np.exp(0.8 * b + spread), np.exp(b)
    wick = 1.0 + np.abs(random.normal(0.0, 0.0005, bars))
    none = np.zeros(bars, dtype=np.uint8)
    return PairBars(
        pair_id=pair_id,
        timeframe_seconds=HOUR,
        ts=FIRST + HOUR * np.arange(bars, dtype=np.int64),
        open_a=np.concatenate((close_a[:1], close_a[:-1])),
        high_a=close_a * wick,
        low_a=close_a / wick,
        close_a=close_a,
        open_b=np.concatenate((close_b[:1], close_b[:-1])),
        high_b=close_b * wick,
        low_b=close_b / wick,
        close_b=close_b,
        filled=none,
        spike=none,
        segment=np.zeros(bars, dtype=np.int64),
    )


def deploy_model(context: TaskContext, bars: PairBars, *, return_prob: float = 0.9) -> str:
    """Publish a model that gives every start `return_prob` and a risk of 0.1."""
    version = judged_run(context, 1)
    core = context.settings.core_policy
    table = build_features(bars, core.feature_windows)
    starts = find_starts(bars, table, core.label, core.decision)
    z = table.column("z")[starts]
    rows = np.column_stack([table.column(name)[starts] for name in core.model_inputs])
    aligned = align_to_reversion(rows, core.model_inputs, z)
    scalers = fit_scalers(aligned, core.model_inputs, core.scaling)
    scaled, outcome = scalers.transform(aligned), (np.arange(starts.size) % 2).astype(np.float64)
    folder = context.run(version).model
    for name, probability in (("model_ai1.pkl", return_prob), ("model_ai2.pkl", 0.1)):
        flat = Isotonic(x=np.array([0.0, 1.0]), y=np.full(2, probability))
        write_bytes(folder / name, dump(Classifier(_trees(scaled, outcome, "Logloss"), flat)))
    excursion = 0.01 + 0.02 * outcome
    write_bytes(folder / "model_ai3.pkl", dump(Quantile(_trees(scaled, excursion, "Quantile:alpha=0.9"))))
    schema = FeatureSchema(schema_definition(core), scalers)
    write_bytes(folder / "feature_schema.json", schema.to_json())
    publish_model(context, version, version)
    assert Registry(context.variables.postgres_url).deployed() is not None
    return version


def _trees(rows: Floats, target: Floats, loss: str) -> bytes:
    return fit_trees(rows, target, None, loss=loss, centred=False, parameters=TREES, seed=1)
