"""The train task on a tiny simulated market: what it leaves behind, and what it leaves when it fails or is killed."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from core.features.schema import FeatureSchema
from core.labels.starts import find_starts
from core.models.artifact import load_classifier, load_quantile
from core.models.fitting import FittedModels
from core.models.predictor import Predictor
from core.models.walk_forward import WalkForward, walk_forward
from core.stores.run_folder import RunFolder
from tasks import train
from tasks.gates import Gate
from tasks.train import train_run
from tests.fixtures.config_tree import change
from tests.fixtures.gates import pass_gates
from tests.fixtures.tiny_market import TinyMarket, written

OUTPUTS = {
    "model/leak_certificate.json",
    "train/oos_predictions.parquet",
    "model/model_ai1.pkl",
    "model/model_ai2.pkl",
    "model/model_ai3.pkl",
    "model/feature_schema.json",
    "train/metrics.json",
}
"""All a run's train task writes, in that order."""

PREDICTIONS = {
    "pair_id": pa.large_string(),
    "ts": pa.timestamp("us", tz="UTC"),
    "step": pa.large_string(),
    **dict.fromkeys(("z", "return_prob", "risk_score", "excursion", "position_scale"), pa.float64()),
    **dict.fromkeys(("ai1", "ai2", "ai3"), pa.float64()),
}


@dataclass(frozen=True)
class Trained:
    """A run the command line has trained: its folder, its files, its last line, and what was learned on the way."""

    run: RunFolder
    files: Mapping[str, bytes]
    last_line: Mapping[str, Any]
    walked: WalkForward

    @property
    def predictions(self) -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(self.files["train/oos_predictions.parquet"]))

    @property
    def metrics(self) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads(self.files["train/metrics.json"])
        return content


@pytest.fixture(scope="module")
def trained(tiny_market: TinyMarket) -> Trained:
    run = tiny_market.new_run()
    seen: list[WalkForward] = []

    def remember(*arguments: Any) -> WalkForward:
        seen.append(walk_forward(*arguments))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "walk_forward", remember)
        last_line = tiny_market.command().last_line(*tiny_market.words("train", run.path.name))
    return Trained(run, written(run, "train", "model"), last_line, seen[-1])


def test_models_predictions_and_metrics_are_left_and_the_last_line_sums_them_up(trained: Trained) -> None:
    assert set(trained.files) == OUTPUTS
    metrics, last = trained.metrics, trained.last_line
    assert (last["task"], last["status"]) == ("train", "done")
    assert last["outputs"] == {
        "run_dir": str(trained.run.path),
        "starts": metrics["samples"]["starts"],
        "out_of_sample": len(trained.predictions),
        "steps": len(metrics["windows"]["steps"]),
    }
    assert last["metrics"]["ai2_auc"] == metrics["oos"]["ai2"]["auc"]
    assert last["metrics"]["ai1_base_rate"] == metrics["base_rates"]["ai1"]


def test_every_start_of_the_months_judged_is_predicted_once_in_order_of_time(
    tiny_market: TinyMarket, trained: Trained
) -> None:
    schema = pq.read_schema(io.BytesIO(trained.files["train/oos_predictions.parquet"]))
    assert dict(zip(schema.names, schema.types, strict=True)) == PREDICTIONS
    core, rows = tiny_market.settings.core_policy, trained.predictions
    first = pd.Timestamp(trained.metrics["windows"]["first_prediction"], unit="s", tz="UTC")
    expected = [
        (pd.Timestamp(bars.ts[start], unit="s", tz="UTC"), pair_id, tiny_market.tables[pair_id].column("z")[start])
        for pair_id, bars in tiny_market.bars.items()
        for start in find_starts(bars, tiny_market.tables[pair_id], core.label, core.decision)
    ]
    found = zip(rows["ts"], rows["pair_id"], rows["z"], strict=True)
    assert list(found) == sorted(start for start in expected if start[0] >= first)
    assert (rows["step"] == rows["ts"].dt.strftime("%Y-%m")).all()
    probabilities = rows[["return_prob", "risk_score"]].to_numpy()
    assert ((probabilities >= 0.0) & (probabilities <= 1.0)).all()
    budget = core.position_scale
    scale = np.clip(budget.risk_budget / rows["excursion"], budget.minimum, budget.maximum)
    np.testing.assert_allclose(rows["position_scale"], scale)


def test_only_labels_the_end_of_the_data_cuts_off_are_missing(tiny_market: TinyMarket, trained: Trained) -> None:
    rows, horizon = trained.predictions, tiny_market.settings.core_policy.label.ai1.horizon_bars
    cut_off = np.zeros(len(rows), dtype=bool)
    for pair_id, bars in tiny_market.bars.items():
        from_then_on = pd.Timestamp(bars.ts[-horizon], unit="s", tz="UTC")
        cut_off |= (rows["pair_id"] == pair_id) & (rows["ts"] >= from_then_on)
    assert 0 < cut_off.sum() < len(rows)
    for label in ("ai1", "ai2", "ai3"):
        np.testing.assert_array_equal(rows[label].isna(), cut_off)


def test_the_metrics_are_those_of_the_predictions(trained: Trained) -> None:
    metrics, rows = trained.metrics, trained.predictions.dropna()
    assert metrics["samples"]["out_of_sample_labelled"] == len(rows)
    for label, prediction in (("ai1", "return_prob"), ("ai2", "risk_score")):
        seen = metrics["oos"][label]
        assert seen["auc"] == pytest.approx(roc_auc_score(rows[label], rows[prediction]))
        assert seen["brier"] == pytest.approx(((rows[prediction] - rows[label]) ** 2).mean())
        assert seen["base_rate"] == pytest.approx(rows[label].mean())
    assert metrics["oos"]["ai3"]["coverage"] == pytest.approx((rows["ai3"] <= rows["excursion"]).mean())
    predicted = trained.predictions.groupby("step").size()
    assert {step["step"]: step["predicted"] for step in metrics["windows"]["steps"]} == predicted.to_dict()


def test_what_is_stored_predicts_as_what_was_fitted(tiny_market: TinyMarket, trained: Trained) -> None:
    files, fitted = trained.files, trained.walked.final.models
    schema = FeatureSchema.from_json(files["model/feature_schema.json"])
    assert schema.model_inputs == tuple(tiny_market.settings.core_policy.model_inputs)
    stored = FittedModels(
        ai1=load_classifier(files["model/model_ai1.pkl"]),
        ai2=load_classifier(files["model/model_ai2.pkl"]),
        ai3=load_quantile(files["model/model_ai3.pkl"]),
        scalers=schema.scalers,
    )
    table = next(iter(tiny_market.tables.values()))
    complete = np.isfinite(table.values).all(axis=1)
    rows = np.column_stack([table.column(name)[complete] for name in schema.model_inputs])
    first, second = (
        Predictor(models, schema.model_inputs).predict(rows, table.column("z")[complete]) for models in (stored, fitted)
    )
    np.testing.assert_array_equal(np.array(first), np.array(second))


def test_killed_while_it_learns_it_leaves_no_file_and_no_process(tiny_market: TinyMarket) -> None:
    run = tiny_market.new_run()
    workers = tiny_market.command().kill_at_event("progress", *tiny_market.words("train", run.path.name))
    assert workers
    assert psutil.wait_procs(workers, timeout=30.0)[1] == []
    assert written(run, "train", "model") == {}


def test_killed_while_it_writes_it_leaves_whole_files_of_the_same_bytes_and_the_next_run_writes_the_rest(
    tiny_market: TinyMarket, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_market.new_run()
    tiny_market.command().kill_at_file("feature_schema.json", *tiny_market.words("train", run.path.name))
    left = OUTPUTS - {"model/feature_schema.json", "train/metrics.json"}
    assert written(run, "train", "model") == {name: trained.files[name] for name in left}
    monkeypatch.setattr(train, "walk_forward", lambda *_: trained.walked)
    train_run(tiny_market.context(), run.path.name, tiny_market.version)
    assert written(run, "train", "model") == trained.files


def test_a_metric_without_a_value_blocks(tiny_market: TinyMarket, trained: Trained, tmp_path: Path) -> None:
    """AI2's limits are raised so far that no bar of the months judged breaks one: there is no risk event to rank."""
    config = Path(shutil.copytree(tiny_market.config, tmp_path / "configs"))
    first = trained.metrics["windows"]["first_prediction"]
    for limit in ("rho_var", "atr_ratio", "speed", "dd_recent"):
        highest = max(table.column(limit)[table.ts >= first].max() for table in tiny_market.tables.values())
        change(config, "core_policy.yaml", f"label.ai2.{limit}_max", float(highest))
    change(config, "retrain_policy.yaml", "base_rate_limits", [0.0, 1.0])
    run = tiny_market.new_run()
    exit_code, code, message = tiny_market.command(config).refusal(*tiny_market.words("train", run.path.name))
    assert (exit_code, code) == (11, "MODEL_METRIC_MISSING")
    assert "oos.ai2.auc" in message
    assert "ai1" not in message
    assert written(run, "train", "model") == {}


def test_input_that_is_absent_or_belongs_elsewhere_is_refused_before_anything_is_learned(
    tiny_market: TinyMarket,
) -> None:
    command, run = tiny_market.command(), tiny_market.new_run()
    words = tiny_market.words("train", run.path.name)
    unknown = tiny_market.words("train", "none")
    assert command.refusal(*unknown)[:2] == (20, "STORE_FILE_MISSING")
    mistaken = tiny_market.words("train", run.path.name, "another")
    assert command.refusal(*mistaken)[:2] == (20, "RUN_INPUT_VERSION")
    index = pd.read_parquet(run.dataset_index)
    index.assign(data_hash="0" * 64).to_parquet(run.dataset_index)
    assert command.refusal(*words)[:2] == (20, "GATE_RESULT_MISSING")
    pass_gates(run, Gate.CANONICAL, Gate.INDEX)
    assert command.refusal(*words)[:2] == (20, "LAKE_PARTITION_CHANGED")
    run.dataset_index.write_bytes(b"PAR1 and no more")
    pass_gates(run, Gate.CANONICAL, Gate.INDEX)
    assert command.refusal(*words)[:2] == (20, "CATALOG_INDEX_UNREADABLE")
    run.dataset_index.unlink()
    assert command.refusal(*words)[:2] == (20, "GATE_RESULT_MISSING")
    run.identity.write_bytes(b"{")
    assert command.refusal(*words)[:2] == (20, "STORE_FILE_UNREADABLE")
    assert written(run, "train", "model") == {}
