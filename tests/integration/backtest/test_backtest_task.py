"""The backtest task on a tiny simulated market: its tables, what they were made from, and how it fails or is killed."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import InputError
from core.features.schema import FeatureSchema
from core.signals.signal import signal_id
from core.stores.run_folder import PreviousModel, RunFolder
from tasks.backtest import backtest_run
from tasks.gates import Gate
from tasks.replay_record import read_record
from tasks.train import train_run
from tests.fixtures.config_tree import change
from tests.fixtures.gates import pass_gates
from tests.fixtures.tiny_market import TinyMarket, written
from tests.unit.backtest.test_deployed_replay import PREVIOUS, publish

OUTPUTS = ("candidates.parquet", "bt_summary.parquet", "bt_trades.parquet", "bt_daily_equity.parquet", "replay.json")
"""All a run's backtest task writes where no model is deployed, in that order."""

TEXT, TIME, NUMBER, COUNT = pa.large_string(), pa.timestamp("us", tz="UTC"), pa.float64(), pa.int64()
PROVENANCE = {
    **dict.fromkeys(("model_version", "feature_schema_hash", "code_hash", "data_hash"), TEXT),
    "seed": COUNT,
}
TABLES = {
    "bt_summary": {
        "scope": TEXT,
        **dict.fromkeys(("theta1", "theta2"), NUMBER),
        **dict.fromkeys(("window_start", "window_end"), TIME),
        **dict.fromkeys(("n_trades", "n_days"), COUNT),
        **dict.fromkeys(("years", "sharpe", "max_drawdown", "annual_return"), NUMBER),
        **dict.fromkeys(("trades_per_year", "psr", "final_equity"), NUMBER),
    },
    "bt_trades": {
        **dict.fromkeys(("scope", "trade_id", "pair_id"), TEXT),
        **dict.fromkeys(("timestamp_decision", "timestamp_entry", "timestamp_exit"), TIME),
        **dict.fromkeys(("qty_a", "qty_b"), NUMBER),
        **dict.fromkeys(("price_entry_a", "price_entry_b", "price_exit_a", "price_exit_b"), NUMBER),
        **dict.fromkeys(("gross_usd", "move_usd", "cost_usd", "swap_usd", "pnl_usd"), NUMBER),
        **dict.fromkeys(("z", "return_prob", "risk_score", "position_scale"), NUMBER),
        "reason": TEXT,
    },
    "bt_daily_equity": {
        "scope": TEXT,
        "timestamp": TIME,
        **dict.fromkeys(("equity_usd", "daily_return", "drawdown"), NUMBER),
        "open_positions": COUNT,
    },
}


@dataclass(frozen=True)
class Trained:
    """A run that has been trained, and runs that start from it."""

    market: TinyMarket
    run: RunFolder

    def new_run(self) -> RunFolder:
        """A run of its own id as backtest finds it, gates passed."""
        run = self.market.new_run()
        for folder in ("train", "model"):
            shutil.copytree(self.run.path / folder, run.path / folder)
        pass_gates(run, Gate.PREDICTIONS)
        return run

    @property
    def predictions(self) -> pd.DataFrame:
        return pd.read_parquet(self.run.oos_predictions)


@dataclass(frozen=True)
class Replayed:
    """A run the command line has backtested: its folder, its files by name, and its last line."""

    run: RunFolder
    files: dict[str, bytes]
    last_line: dict[str, Any]

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(self.files[f"backtest/{name}.parquet"]))

    @property
    def record(self) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads(self.files["backtest/replay.json"])
        return content


@pytest.fixture(scope="module")
def trained(tiny_market: TinyMarket) -> Trained:
    run = tiny_market.new_run()
    train_run(tiny_market.context(), run.path.name, tiny_market.version)
    return Trained(tiny_market, run)


@pytest.fixture(scope="module")
def replayed(trained: Trained) -> Replayed:
    run = trained.new_run()
    last_line = trained.market.command().last_line(*trained.market.words("backtest", run.path.name))
    return Replayed(run, written(run, "backtest"), last_line)


def test_every_table_has_its_columns_and_says_what_it_was_made_from(replayed: Replayed) -> None:
    assert set(replayed.files) == {f"backtest/{name}" for name in OUTPUTS}
    identity = replayed.run.read_identity()
    schema = FeatureSchema.from_json((replayed.run.model / "feature_schema.json").read_bytes())
    made_from = {
        "model_version": identity.model_version,
        "feature_schema_hash": schema.schema_hash,
        "code_hash": identity.code_hash,
        "data_hash": identity.data_hash,
        "seed": identity.seed,
    }
    for name, columns in TABLES.items():
        table = pq.read_table(io.BytesIO(replayed.files[f"backtest/{name}.parquet"]))
        assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {**columns, **PROVENANCE}, name
        assert table.num_rows > 0
        assert all(column.null_count == 0 for column in table.columns)
        for column, value in made_from.items():
            assert table.column(column).unique().to_pylist() == [value], name
    assert replayed.record["feature_schema_hash"] == schema.schema_hash


def test_the_tables_the_record_and_the_last_line_agree(replayed: Replayed, trained: Trained) -> None:
    (summary,) = replayed.table("bt_summary").to_dict("records")
    trades, equity, record = replayed.table("bt_trades"), replayed.table("bt_daily_equity"), replayed.record
    policy, capital = trained.market.settings.backtest_policy, trained.market.settings.backtest_policy.capital
    assert trades["pnl_usd"].sum() == pytest.approx(equity["equity_usd"].iloc[-1] - capital.initial_usd)
    assert summary["final_equity"] == equity["equity_usd"].iloc[-1]
    assert (summary["n_trades"], summary["n_days"]) == (len(trades), len(equity))
    daily = equity["daily_return"]
    assert summary["sharpe"] == pytest.approx(daily.mean() / daily.std() * np.sqrt(policy.daily_mark.days_per_year))
    assert summary["max_drawdown"] == pytest.approx(equity["drawdown"].max())
    last = replayed.last_line
    assert (last["task"], last["status"]) == ("backtest", "done")
    assert last["metrics"] == {
        name: summary[name] for name in ("sharpe", "max_drawdown", "trades_per_year", "n_trades")
    }
    assert last["outputs"]["n_candidates"] == pq.read_metadata(replayed.run.candidates).num_rows
    starts = {name: last["outputs"][name] for name in ("n_starts", "n_candidates", "untradable")}
    assert record["starts"] == starts
    assert starts["n_candidates"] + sum(starts["untradable"].values()) == starts["n_starts"] == len(trained.predictions)
    windows = orjson.loads(trained.run.metrics.read_bytes())["windows"]
    assert windows["theta"] == [record["theta_start"], record["adoption_start"]]
    assert windows["adoption"] == [record["adoption_start"], record["adoption_end"]]
    assert summary["window_start"].timestamp() == record["theta_start"]
    assert summary["window_end"].timestamp() == record["adoption_end"]
    assert record["n_pairs"] == len(trained.market.bars)
    assert record["n_bars"] == sum(len(bars) for bars in trained.market.bars.values())


def test_trades_are_predicted_starts_that_pass_the_initial_theta_one_at_a_time_a_pair(
    replayed: Replayed, trained: Trained
) -> None:
    core, trades = trained.market.settings.core_policy, replayed.table("bt_trades")
    (summary,) = replayed.table("bt_summary").to_dict("records")
    theta = (core.theta1_initial, core.theta2_initial)
    assert (summary["theta1"], summary["theta2"]) == theta
    outputs = replayed.last_line["outputs"]
    assert (outputs["theta1"], outputs["theta2"]) == theta
    hour = pd.Timedelta(hours=1)
    columns = ["pair_id", "z", "return_prob", "risk_score", "position_scale"]
    predicted = trained.predictions.assign(timestamp_decision=lambda rows: rows["ts"] + hour)
    matched = trades.merge(predicted, on=["timestamp_decision", *columns], how="inner")
    assert len(matched) == len(trades)
    assert (trades["return_prob"] > theta[0]).all()
    assert (trades["risk_score"] < theta[1]).all()
    version = trained.market.version
    ids = [
        signal_id(pair_id, int((decided - hour).timestamp()), version)
        for pair_id, decided in zip(trades["pair_id"], trades["timestamp_decision"], strict=True)
    ]
    assert trades["trade_id"].to_list() == ids
    for _, own in trades.groupby("pair_id"):
        assert (own["timestamp_entry"].iloc[1:].to_numpy() >= own["timestamp_exit"].iloc[:-1].to_numpy()).all()


def test_the_same_run_gives_the_same_bytes(replayed: Replayed, trained: Trained) -> None:
    again = trained.new_run()
    for _ in range(2):
        backtest_run(trained.market.context(), again.path.name, trained.market.version)
        assert written(again, "backtest") == replayed.files


def test_a_damaged_feature_file_is_mended_and_changes_nothing(replayed: Replayed, trained: Trained) -> None:
    context, run = trained.market.context(), trained.new_run()
    victim = next(context.roots.features.glob("1h/*/2021-07/*.parquet"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-100])
    result = trained.market.command().run(*trained.market.words("backtest", run.path.name))
    assert result.exit_code == 0
    assert str(victim) in result.stderr
    assert victim.read_bytes() == whole
    assert written(run, "backtest") == replayed.files


def test_a_deployed_model_gives_the_theta_and_is_replayed_beside_it(
    replayed: Replayed, trained: Trained, tmp_path: Path
) -> None:
    market, run = trained.market, trained.new_run()
    previous = PreviousModel(PREVIOUS.model_version, theta1=0.65, theta2=0.35)
    run.write_identity(replace(run.read_identity(), previous=previous))
    refusal = market.command().refusal(*market.words("backtest", run.path.name))
    assert refusal[:2] == (20, "BUNDLE_FOLDER_MISSING")
    assert "backtest/replay.json" not in written(run, "backtest")

    publish(market.context(), trained.predictions)
    config = Path(shutil.copytree(market.config, tmp_path / "configs"))
    change(config, "backtest_policy.yaml", "adoption.comparison_days_min", 20)
    outputs = market.command(config).outputs(*market.words("backtest", run.path.name))
    assert (outputs["theta1"], outputs["theta2"]) == (0.65, 0.35)
    trades = pd.read_parquet(run.backtest / "bt_trades.parquet")
    assert len(trades) > len(replayed.table("bt_trades"))
    assert trades["return_prob"].between(0.65, 0.7).any()
    record = read_record(run)
    assert record.deployed_from == record.adoption_start
    assert record.deployed_until is not None
    assert record.adoption_start < record.deployed_until <= record.adoption_end
    assert PREVIOUS.model_version in record.deployed_note
    stored = (run.backtest / "deployed_candidates.parquet").read_bytes()
    assert stored == replayed.files["backtest/candidates.parquet"]


@pytest.mark.parametrize("file", ["bt_trades.parquet", "replay.json"])
def test_killed_while_it_writes_it_leaves_whole_files_and_the_next_run_ends_the_same(
    replayed: Replayed, trained: Trained, file: str
) -> None:
    market, run = trained.market, trained.new_run()
    market.command().kill_at_file(file, *market.words("backtest", run.path.name))
    left = [f"backtest/{name}" for name in OUTPUTS[: OUTPUTS.index(file)]]
    assert written(run, "backtest") == {name: replayed.files[name] for name in left}
    with pytest.raises(InputError, match=r"replay\.json"):
        read_record(run)
    backtest_run(market.context(), run.path.name, market.version)
    assert written(run, "backtest") == replayed.files


def test_predictions_that_are_missing_block(trained: Trained) -> None:
    command, run, rows = trained.market.command(), trained.new_run(), trained.predictions
    words = trained.market.words("backtest", run.path.name)
    rows.assign(risk_score=rows["risk_score"].where(rows.index != 7)).to_parquet(run.oos_predictions)
    pass_gates(run, Gate.PREDICTIONS)
    assert command.refusal(*words)[:2] == (11, "BACKTEST_PREDICTIONS_MISSING")
    rows.iloc[:0].to_parquet(run.oos_predictions)
    pass_gates(run, Gate.PREDICTIONS)
    assert command.refusal(*words)[:2] == (11, "BACKTEST_PREDICTIONS_EMPTY")
    assert written(run, "backtest") == {}


def test_input_that_is_absent_or_does_not_belong_together_is_refused_and_nothing_written(trained: Trained) -> None:
    command, run, rows = trained.market.command(), trained.new_run(), trained.predictions
    words = trained.market.words("backtest", run.path.name)
    unknown = trained.market.words("backtest", "none")
    assert command.refusal(*unknown)[:2] == (20, "STORE_FILE_MISSING")
    mistaken = trained.market.words("backtest", run.path.name, "another")
    assert command.refusal(*mistaken)[:2] == (20, "RUN_INPUT_VERSION")
    rows.drop(columns="z").to_parquet(run.oos_predictions)
    pass_gates(run, Gate.PREDICTIONS)
    assert command.refusal(*words)[:2] == (20, "BACKTEST_INPUT_COLUMNS")
    rows.assign(pair_id="XXX-YYY").to_parquet(run.oos_predictions)
    pass_gates(run, Gate.PREDICTIONS)
    assert command.refusal(*words)[:2] == (20, "BACKTEST_INPUT_PAIR")
    rows.assign(ts=rows["ts"] + pd.Timedelta(minutes=1)).to_parquet(run.oos_predictions)
    pass_gates(run, Gate.PREDICTIONS)
    assert command.refusal(*words)[:2] == (20, "BACKTEST_INPUT_BAR")
    run.oos_predictions.write_bytes(b"PAR1 and no more")
    pass_gates(run, Gate.PREDICTIONS)
    assert command.refusal(*words)[:2] == (20, "RUN_FILE_UNREADABLE")
    run.oos_predictions.unlink()
    assert command.refusal(*words)[:2] == (20, "GATE_RESULT_MISSING")
    rows.to_parquet(run.oos_predictions)
    pass_gates(run, Gate.PREDICTIONS)
    run.dataset_index.unlink()
    assert command.refusal(*words)[:2] == (20, "CATALOG_INDEX_UNREADABLE")
    schema = run.model / "feature_schema.json"
    schema.write_bytes(schema.read_bytes().replace(b'"z": 120', b'"z": 121'))
    assert command.refusal(*words)[:2] == (20, "FEATURES_SCHEMA_UNREADABLE")
    schema.unlink()
    assert command.refusal(*words)[:2] == (20, "RUN_FILE_UNREADABLE")
    assert written(run, "backtest") == {}
