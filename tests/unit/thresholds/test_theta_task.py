"""The θ task on a run whose backtest has been written by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
import sqlalchemy as sa

from core.backtest.replay import Market
from core.config.environment_variables import read_variables
from core.config.loader import load_settings
from core.config.settings import Settings
from core.errors import BlockedError, InputError
from core.postgres import open_engine, transaction
from core.stores.registry import ModelFacts, Registry
from core.stores.roots import StorageRoots
from core.stores.run_folder import PreviousModel, RunFolder, RunIdentity
from core.telemetry.logs import configure_logs
from core.telemetry.progress import LoggedProgress
from core.thresholds.objective import SearchData
from tasks.context import TaskContext
from tasks.replay_record import ReplayRecord, StartCounts, write_candidates, write_deployed, write_record
from tasks.shard import Shard
from tasks.theta import search_shard, theta_run
from tests.integration.registry.facts import model_facts
from tests.unit.thresholds.test_search import search_data, search_markets

CONFIGS = Path(__file__).parents[3] / "configs"
VERSION = "20240601_0000_0a1b2c3d"
VARIABLES = {
    "STORAGE_BACKEND": "local",
    "POSTGRES_URL": "postgresql://localhost/none",
    "REDIS_URL": "redis://localhost:1/0",
    "SERVICE_ENV": "dev",
    "LOG_LEVEL": "WARNING",
    "TZ": "UTC",
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    settings = load_settings(CONFIGS, "dev")
    core = settings.core_policy
    short = {"grid_points": 4, "trials": 12, "early_stop_trials": 6, "surface_points": 7}
    searched = core.theta_search.model_copy(update=short)
    return settings.model_copy(update={"core_policy": core.model_copy(update={"theta_search": searched})})


@pytest.fixture(autouse=True)
def _trials(monkeypatch: pytest.MonkeyPatch, registry_url: str) -> None:
    """The trials are kept in a real PostgreSQL."""
    monkeypatch.setitem(VARIABLES, "POSTGRES_URL", registry_url)


@pytest.fixture(scope="module")
def data(settings: Settings) -> SearchData:
    pairs = [pair.id for pair in settings.universe.pairs[:2]]
    return search_data(days=300, pair_ids=(pairs[0], pairs[1]))


@pytest.fixture(autouse=True)
def market_of_the_run(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """The bars the candidates were made from, in place of a lake."""
    pairs = settings.universe.pairs[:2]
    made = [market for market, _ in search_markets(0, 300, (pairs[0].id, pairs[1].id))]
    market = Market(
        universe=settings.universe,
        cost_table=settings.cost_table,
        bars={each.bars.pair_id: each.bars for each in made},
        tables={each.bars.pair_id: each.table for each in made},
        conversion={},
    )
    monkeypatch.setattr("tasks.stress.load_market", lambda context, run: market)


def context_of(folder: Path, settings: Settings, postgres_url: str | None = None) -> TaskContext:
    environ = {**VARIABLES, "ARCHIVE_PATH": str(folder)} | ({"POSTGRES_URL": postgres_url} if postgres_url else {})
    variables = read_variables(environ, settings.environment, settings.ml_core_storage)
    log = configure_logs("WARNING", task="theta", trace_id="test")
    return TaskContext(
        settings=settings,
        variables=variables,
        roots=StorageRoots.below(folder, settings.ml_core_storage),
        log=log,
        progress=LoggedProgress(log),
        trace_id="test",
        config_root=CONFIGS,
    )


def settings_with(settings: Settings, **paired: Any) -> Settings:
    """The settings with other terms of the paired comparison."""
    policy = settings.backtest_policy
    adoption = policy.adoption.model_copy(update={"paired": policy.adoption.paired.model_copy(update=paired)})
    return settings.model_copy(update={"backtest_policy": policy.model_copy(update={"adoption": adoption})})


def write_run(run: RunFolder, data: SearchData, previous: PreviousModel | None, **changes: Any) -> None:
    start, end = data.window.start, data.window.end
    record = ReplayRecord(
        theta_start=start,
        adoption_start=start + (end - start) // 2,
        adoption_end=end,
        adoption_days=250,
        n_pairs=2,
        n_bars=14_400,
        feature_schema_hash="f" * 64,
        deployed_from=None,
        deployed_until=None,
        deployed_note="no model is deployed, so there is none to compare with",
        starts=StartCounts(620, 600, {"outside_hours": 20}),
    )
    run.write_identity(
        RunIdentity(
            run_id=VERSION,
            model_version=VERSION,
            as_of="2024-06-01T00:00:00+00:00",
            timeframe="1h",
            data_hash="d" * 64,
            code_hash="c" * 40,
            config_hash="e" * 64,
            seed=5,
            previous=previous,
        )
    )
    write_candidates(run, data.candidates, data.marks)
    write_record(run, replace(record, **changes))


def verdict_of(folder: Path, settings: Settings, postgres_url: str) -> dict[str, Any]:
    context = context_of(folder, settings, postgres_url)
    result = theta_run(context, VERSION, VERSION)
    content: dict[str, Any] = orjson.loads(context.run(VERSION).verdict.read_bytes())
    assert result.status == "done"
    assert result.outputs["status"] == content["status"]
    return content


def all_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(all_finite(each) for each in value.values())
    if isinstance(value, list):
        return all(all_finite(each) for each in value)
    return not isinstance(value, float) or math.isfinite(value)


def test_the_verdict_holds_every_number_behind_it(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str
) -> None:
    run = context_of(tmp_path, settings).run(VERSION)
    write_run(run, data, None)
    verdict = verdict_of(tmp_path, settings, registry_url)
    assert verdict["status"] in {"approved", "rejected"}
    assert verdict["retrain_status"] == {"approved": "adopted", "rejected": "rejected"}[verdict["status"]]
    assert verdict["reasons"]
    assert all_finite(verdict)
    evidence = verdict["evidence"]
    assert evidence["adoption"]["n_trials"] == 1
    assert evidence["adoption"]["benchmark"] == 0.0
    assert (verdict["dsr"], verdict["pbo"]) == (
        evidence["adoption"]["probability"],
        evidence["overfitting"]["probability"],
    )
    assert 1 < evidence["overfitting"]["n_trials"] <= len(pd.read_parquet(run.theta / "trials.parquet"))
    assert {"sharpe", "max_drawdown", "trades_per_year", "annual_return", "psr", "n_trades"} <= set(verdict)
    assert (verdict["n_pairs"], verdict["n_bars"], verdict["previous"]) == (2, 14_400, None)
    summary = pd.read_parquet(run.theta / "bt_summary.parquet").set_index("scope")
    assert set(summary.index) == {"adoption", "all_out_of_sample", "theta_search"}
    assert summary.loc["adoption", "sharpe"] == verdict["sharpe"]
    assert summary.loc["all_out_of_sample", "psr"] == verdict["psr"]
    assert (summary["theta1"] == verdict["theta1"]).all()
    trades = pd.read_parquet(run.theta / "bt_trades.parquet")
    adoption = trades[trades["scope"] == "adoption"]
    assert len(adoption) == verdict["n_trades"] > 0
    assert adoption["timestamp_decision"].min() >= pd.Timestamp(verdict["window"]["start"])
    stressed = pd.read_parquet(run.theta / "bt_stress_results.parquet")
    assert {"atr_noise", "correlation_collapse", "cost_increase", "latency", "gap_events"} <= set(stressed["scenario"])
    assert set(verdict["stress"]["scenarios"]) == set(stressed["scenario"]) - {"none"}
    assert not stressed.isna().any().any()
    assert (stressed["theta1"] == verdict["theta1"]).all()
    searched = orjson.loads((run.theta / "theta.json").read_bytes())
    assert len(pd.read_parquet(run.theta / "trials.parquet")) == searched["n_trials"]
    assert searched["gain"] is None
    assert verdict["theta_search"] == {name: searched[name] for name in ("previous", "n_starts", "n_trials")}
    assert verdict["starts"] == {"n_starts": 620, "n_candidates": 600, "untradable": {"outside_hours": 20}}
    assert len(pd.read_parquet(run.theta / "theta_surface.parquet")) == 7 * 7
    bands = verdict["money_curve"]
    assert sum(band["count"] for band in bands) == len(data.candidates)
    assert [band["predicted"] for band in bands] == sorted(band["predicted"] for band in bands)


def test_the_verdict_holds_the_gain_of_theta_with_its_interval(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str
) -> None:
    core = settings.core_policy
    lenient = core.theta_objective.model_copy(update={"max_drawdown": 1.0, "trades_per_year_min": 0.1})
    changed = settings.model_copy(update={"core_policy": core.model_copy(update={"theta_objective": lenient})})
    run = context_of(tmp_path, changed).run(VERSION)
    write_run(run, data, None)
    verdict = verdict_of(tmp_path, changed, registry_url)
    searched = orjson.loads((run.theta / "theta.json").read_bytes())
    assert verdict["theta_search"] == {
        name: searched[name] for name in ("previous", "found", "gain", "n_starts", "n_trials")
    }
    gain = verdict["theta_search"]["gain"]
    assert gain["low"] < min(gain["gain"], gain["high"])
    assert f"{gain['low']:.4f}" in verdict["theta_reason"]


def test_the_same_run_gives_the_same_bytes(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str
) -> None:
    tables = ("trials", "theta_surface", "bt_summary", "bt_trades", "bt_stress_results")
    files = ("verdict.json", "theta.json", *(f"{name}.parquet" for name in tables))
    contents = []
    for name in ("one", "two"):
        run = context_of(tmp_path / name, settings).run(VERSION)
        write_run(run, data, None)
        verdict_of(tmp_path / name, settings, registry_url)
        contents.append([(run.theta / file).read_bytes() for file in files])
    assert contents[0] == contents[1]


def test_a_deployed_model_is_compared_on_the_days_both_predicted(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str
) -> None:
    previous = PreviousModel("20240501_0000_deadbeef", 0.65, 0.35)
    run = context_of(tmp_path, settings).run(VERSION)
    half = data.window.start + (data.window.end - data.window.start) // 2
    write_run(run, data, previous, deployed_from=half, deployed_until=data.window.end - 30 * 86_400)
    # the deployed model's trades gain 500 USD more a lot, from the first mark on
    found = data.candidates
    better = replace(found, move_a=found.move_a + 500.0, mark_a=found.mark_a + 500.0)
    write_deployed(run, better, data.marks)
    verdict = verdict_of(tmp_path, settings, registry_url)
    assert verdict["status"] == "rejected"
    assert any("20240501_0000_deadbeef" in reason for reason in verdict["reasons"])
    assert verdict["comparison"]["deployed"]["sharpe"] > verdict["comparison"]["challenger"]["sharpe"]
    paired = verdict["comparison"]["paired"]
    assert paired["answer"] == "unproven"
    assert 0 < paired["moved_days"] < 40 < paired["n_days"]
    assert (paired["difference"], paired["low"], paired["high"]) == (0.0, 0.0, 0.0)
    compared = verdict["comparison"]
    sensitive = verdict_of(tmp_path, settings_with(settings, moved_days_min=1), registry_url)["comparison"]["paired"]
    assert sensitive["difference"] == compared["challenger"]["sharpe"] - compared["deployed"]["sharpe"]
    assert sensitive["low"] < sensitive["difference"] < 0.0
    assert verdict["previous"]["theta1"] == 0.65
    assert abs(verdict["theta1"] - 0.65) <= settings.core_policy.theta_search.step_max + 1e-12


def test_an_unfinished_backtest_or_another_version_is_refused(
    tmp_path: Path, settings: Settings, data: SearchData
) -> None:
    context = context_of(tmp_path, settings)
    run = context.run(VERSION)
    write_run(run, data, None)
    with pytest.raises(InputError, match="RUN_INPUT_VERSION"):
        theta_run(context, VERSION, "20240601_0000_ffffffff")
    (run.backtest / "replay.json").unlink()
    with pytest.raises(InputError, match=r"replay\.json"):
        theta_run(context, VERSION, VERSION)
    assert not run.verdict.exists()


def test_a_part_searches_and_the_task_values_nothing_again(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str
) -> None:
    def trials() -> list[Any]:
        with transaction(open_engine(registry_url)) as connection:
            return list(
                connection.execute(sa.text("SELECT number, state, datetime_complete FROM theta.trials ORDER BY 1"))
            )

    context = context_of(tmp_path, settings, registry_url)
    run = context.run(VERSION)
    write_run(run, data, None)
    told = search_shard(context, VERSION, VERSION, Shard(1, 2)).outputs
    found = trials()
    assert told == {"shard": "1/2", "trials": len(found) + 1}  # the θ in force needs no trial
    assert not run.theta.exists()
    assert verdict_of(tmp_path, settings, registry_url)["status"] in {"approved", "rejected"}
    assert trials() == found


def judged_model(number: int, start: str, end: str, sharpe: float) -> ModelFacts:
    verdict = {"window": {"start": start, "end": end}, "sharpe": sharpe}
    return model_facts(number, metrics_json={"training": {}, "verdict": verdict})


def register(url: str, facts: ModelFacts, *, judge: bool = True) -> None:
    registry = Registry(url)
    registry.register_draft(facts)
    registry.register_candidate(facts.model_version)
    if judge:
        registry.record_verdict(facts.model_version, approved=False, notes="rejected: a test")


def test_earlier_verdicts_on_the_same_bars_are_tries_and_stay_those_first_counted(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str
) -> None:
    run = context_of(tmp_path, settings).run(VERSION)
    write_run(run, data, None)
    register(registry_url, judged_model(1, "2020-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00", -0.5))
    register(registry_url, judged_model(2, "1999-01-01T00:00:00+00:00", "2000-01-01T00:00:00+00:00", 9.0))
    register(registry_url, judged_model(3, "2020-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00", 1.0), judge=False)
    first = verdict_of(tmp_path, settings, registry_url)
    assert first["earlier_verdicts"] == ["20240101_0000_00000001"]
    assert first["evidence"]["adoption"]["n_trials"] == 2
    assert first["evidence"]["adoption"]["benchmark"] > 0.0
    register(registry_url, judged_model(4, "2020-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00", 1.0))
    assert verdict_of(tmp_path, settings, registry_url) == first


@pytest.mark.parametrize("verdict", [{}, {"window": {"start": "x", "end": "y"}, "sharpe": 1.0}, {"sharpe": None}])
def test_an_earlier_verdict_that_says_nothing_blocks(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str, verdict: dict[str, Any]
) -> None:
    write_run(context_of(tmp_path, settings).run(VERSION), data, None)
    register(registry_url, model_facts(1, metrics_json={"training": {}, "verdict": verdict}))
    with pytest.raises(BlockedError, match="ADOPTION_EARLIER_UNKNOWN"):
        theta_run(context_of(tmp_path, settings, registry_url), VERSION, VERSION)


def test_an_adoption_window_shorter_than_the_policy_blocks_and_is_stated(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str
) -> None:
    context = context_of(tmp_path, settings, registry_url)
    run = context.run(VERSION)
    write_run(run, data, None, adoption_days=195)
    with pytest.raises(BlockedError, match=r"ADOPTION_WINDOW_SHORT.*195 days.*12 months need 196"):
        theta_run(context, VERSION, VERSION)
    stated = orjson.loads(run.verdict.read_bytes())
    assert (stated["status"], stated["retrain_status"]) == ("blocked", "blocked")
    assert "195 days" in stated["reasons"][0]
    write_run(run, data, None, adoption_days=196)
    assert verdict_of(tmp_path, settings, registry_url)["status"] != "blocked"


@pytest.mark.parametrize("trades", [0, 1])
def test_zero_trades_and_one_trade_are_rejected_with_numbers(
    tmp_path: Path, settings: Settings, data: SearchData, registry_url: str, trades: int
) -> None:
    run = context_of(tmp_path, settings).run(VERSION)
    found = data.candidates
    half = data.window.start + (data.window.end - data.window.start) // 2
    passing = np.zeros(found.return_prob.size)
    passing[np.flatnonzero(found.decided > half)[40 : 40 + trades]] = 0.99
    silent = replace(found, return_prob=passing, risk_score=np.zeros(found.risk_score.size))
    previous = PreviousModel("20240501_0000_deadbeef", 0.65, 0.35)
    write_run(run, replace(data, candidates=silent), previous, deployed_from=half, deployed_until=data.window.end)
    write_deployed(run, silent, data.marks)
    verdict = verdict_of(tmp_path, settings, registry_url)
    assert (verdict["status"], verdict["n_trades"]) == ("rejected", trades)
    assert all_finite(verdict)
    assert "null" not in run.verdict.read_text(encoding="utf-8").replace('"previous": null', "")
    assert any(f"{trades} trades in" in reason for reason in verdict["reasons"])
    assert verdict["comparison"]["paired"]["answer"] == "unproven"
