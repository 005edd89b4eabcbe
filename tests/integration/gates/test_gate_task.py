"""The gate task on a lake and on a trained run: its report, its last line, and who goes on without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from core.errors import InputError, QualityError
from core.stores.partition import PartitionKey
from core.stores.run_folder import RunFolder
from tasks.backtest import backtest_run
from tasks.catalog import catalog_lake
from tasks.context import TaskContext
from tasks.features import build_run
from tasks.gate import run_gate_of
from tasks.gates import Gate, require_gates
from tasks.ingest import import_bars
from tasks.publish import publish_model
from tasks.train import train_run
from tests.fixtures.gates import pass_gates
from tests.fixtures.tiny_market import TinyMarket
from tests.integration.alerts.notices import notifications
from tests.integration.lake.world import World, settings
from tests.integration.publish.judged_runs import judged_run, make_context

GATED_BARS = Gate.CANONICAL, Gate.INDEX


@pytest.fixture
def context(tmp_path: Path, registry_url: str) -> TaskContext:
    world = World(tmp_path, settings())
    world.write_all()
    import_bars(world.context(), world.bars, "run", None)
    return world.context(registry_url)


@pytest.fixture
def run(context: TaskContext) -> RunFolder:
    return RunFolder(Path(str(catalog_lake(context, None).outputs["run_dir"])))


def test_bars_index_and_features_pass_one_after_the_other(context: TaskContext, run: RunFolder) -> None:
    run_id = run.path.name
    for gate in GATED_BARS:
        with pytest.raises(InputError, match=rf"GATE_RESULT_MISSING.*gate --name {gate} --run-id {run_id}"):
            build_run(context, run_id)
        outputs = run_gate_of(context, gate, run_id).outputs
        assert outputs == {"gate": gate, "run_id": run_id, "report": f"runs/{run_id}/gates/{gate}/index.html"}
        assert "<html" in (context.roots.archive / str(outputs["report"])).read_text()
    build_run(context, run_id)
    run_gate_of(context, Gate.FEATURES, run_id)
    require_gates(run, *GATED_BARS, Gate.FEATURES)


def test_predictions_pass_on_the_command_line_and_another_training_has_to_pass_anew(tiny_market: TinyMarket) -> None:
    run, command = tiny_market.new_run(), tiny_market.command()
    train_run(tiny_market.context(), run.path.name, tiny_market.version)
    words = tiny_market.words("backtest", run.path.name)
    assert command.refusal(*words)[:2] == (20, "GATE_RESULT_MISSING")
    last = command.last_line("gate", "--name", "predictions", "--run-id", run.path.name)
    assert last["outputs"]["report"] == f"runs/{run.path.name}/gates/predictions/index.html"
    require_gates(run, Gate.PREDICTIONS)

    frame = pd.read_parquet(run.oos_predictions)
    frame.assign(return_prob=1.01).to_parquet(run.oos_predictions)
    with pytest.raises(InputError, match=r"another oos_predictions\.parquet"):
        backtest_run(tiny_market.context(), run.path.name, tiny_market.version)
    failed = command.run("gate", "--name", "predictions", "--run-id", run.path.name)
    last = json.loads(failed.stdout.splitlines()[-1])
    assert (failed.exit_code, last["status"], last["error"]["code"]) == (10, "failed", "QUALITY_GATE_FAILED")
    assert last["outputs"] == {
        "gate": "predictions",
        "run_id": run.path.name,
        "report": f"runs/{run.path.name}/gates/predictions/index.html",
    }
    assert "return_prob" in last["error"]["message"]
    assert "<html" in (tiny_market.archive / last["outputs"]["report"]).read_text()
    assert command.refusal(*words)[:2] == (20, "GATE_RESULT_MISSING")


def test_bars_that_fail_leave_a_report_and_stop_the_features(tmp_path: Path, registry_url: str) -> None:
    """The bars are filled where the index knows of no gap, so that nothing but the gate sees it."""
    world = World(tmp_path, settings(missing_rate=0.0, outlier_rate=0.0))
    world.write_all()
    raw = world.raw("AUDUSD")
    hole = raw["ts"].between(pd.Timestamp("2024-01-17T10:00Z"), pd.Timestamp("2024-01-17T11:00Z"))
    world.write("AUDUSD", raw[~hole].reset_index(drop=True))
    import_bars(world.context(), world.bars, "run", None)
    meta = world.lake.folder(PartitionKey("1h", "AUDUSD", "2024-01")) / "__meta.json"
    content = json.loads(meta.read_bytes())
    meta.write_text(json.dumps(content | {"counts": content["counts"] | {"missing_gaps": 0}}))
    context = world.context(registry_url)
    run = RunFolder(Path(str(catalog_lake(context, None).outputs["run_dir"])))
    pass_gates(run, *GATED_BARS)
    with pytest.raises(QualityError, match=r"expect_column_mean_to_be_between\(filled\)") as caught:
        run_gate_of(context, Gate.CANONICAL, run.path.name)
    assert "<html" in Path(caught.value.where).read_text()
    (told,) = notifications(registry_url)
    assert told["event"] == "gate_failed"
    assert told["fields"] == {**caught.value.outputs, "reason": caught.value.message, "trace_id": context.trace_id}
    with pytest.raises(InputError, match="gate canonical of the run has not passed"):
        build_run(context, run.path.name)


@pytest.mark.parametrize("gate", Gate)
def test_nothing_is_published_past_a_gate_that_has_not_passed(
    tmp_path: Path, registry_url: str, redis_url: str, gate: Gate
) -> None:
    context = make_context(tmp_path, registry_url, redis_url)
    version = judged_run(context, 1)
    (context.run(version).gate(gate) / "passed.json").unlink()
    with pytest.raises(InputError, match=f"gate {gate} of the run has not passed"):
        publish_model(context, version, version)
    assert not context.roots.models.exists()


@pytest.mark.parametrize(
    ("missing", "task"),
    [(lambda run: run.extreme_rows, "features"), (lambda run: run.oos_predictions, "train")],
    ids=["features", "predictions"],
)
def test_what_has_not_been_written_yet_is_named(
    context: TaskContext, run: RunFolder, missing: Callable[[RunFolder], Path], task: str
) -> None:
    gate = Gate.FEATURES if task == "features" else Gate.PREDICTIONS
    with pytest.raises(InputError, match=rf"GATE_INPUT_MISSING.*run {task} of this run first") as caught:
        run_gate_of(context, gate, run.path.name)
    assert caught.value.where == str(missing(run))
    assert not run.gate(gate).exists()
