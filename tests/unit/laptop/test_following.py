"""A chain as it is shown and as it is closed, from what Airflow and the run's folder say."""

from __future__ import annotations

import datetime
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from laptop.airflow_api import AirflowApi, TaskState
from laptop.chain import Chain, ChainState, Progress, Step
from laptop.display import PlainLines, far, table, took
from laptop.flows import FLOWS
from laptop.verdict import read_ending

NOW = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
NO_REDIS = "unix:///no/such.sock"
VERSION = "20240101_0000_0123abcd"


class Airflow(AirflowApi):
    """Answers from dictionaries."""

    def __init__(
        self, runs: dict[str, str], tasks: dict[str, list[TaskState]], pushes: dict[str, dict[str, Any]]
    ) -> None:
        self.runs, self.states, self.pushes, self.asked = runs, tasks, pushes, 0

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        self.asked += 1
        return self.runs.get(dag_id)

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        return self.states.get(dag_id, [])

    def pushed(self, dag_id: str, run_id: str, task: str, key: str, part: int) -> dict[str, Any] | None:
        return self.pushes.get(f"{task}.{key}" if part < 0 else f"{task}[{part}].{key}")


def ran(task: str, state: str, seconds: float = 2.0, part: int = -1) -> TaskState:
    ended = NOW if state != "running" else None
    return TaskState(task, part, state, 1, NOW - datetime.timedelta(seconds=seconds), ended)


CATALOG = {"outputs": {"run_id": VERSION, "model_version": VERSION, "n_pairs": 2, "n_bars": 1000}}
FINISHED = dict.fromkeys(FLOWS, "success")


def test_steps_stand_in_the_chains_order_from_the_start() -> None:
    chain = Chain(
        Airflow({"core_retrain_flow": "running"}, {"core_retrain_flow": [ran("admit", "running")]}, {}), NO_REDIS, "t"
    )
    state = chain.look(NOW)
    assert [step.task for step in state.steps] == [name for names in FLOWS.values() for name in names]
    assert state.outcome == "running"
    assert (state.steps[0].state, state.steps[0].seconds) == ("running", 2.0)
    assert {step.state for step in state.steps[1:]} == {"waiting"}


def test_the_chain_ends_with_its_last_flow_or_its_first_failed_one() -> None:
    assert Chain(Airflow(FINISHED, {}, {}), NO_REDIS, "t").look(NOW).outcome == "finished"
    runs = {"core_retrain_flow": "success", "core_backtest_flow": "failed"}
    assert Chain(Airflow(runs, {}, {}), NO_REDIS, "t").look(NOW).outcome == "failed"
    runs = {"core_retrain_flow": "success"}
    assert Chain(Airflow(runs, {}, {}), NO_REDIS, "t").look(NOW).outcome == "running"


def test_flows_that_ended_are_not_asked_about_again() -> None:
    airflow = Airflow({"core_retrain_flow": "success", "core_backtest_flow": "running"}, {}, {})
    chain = Chain(airflow, NO_REDIS, "t")
    chain.look(NOW)
    first, airflow.asked = airflow.asked, 0
    chain.look(NOW)
    assert (first, airflow.asked) == (4, 3)


def test_a_failure_of_the_wiring_itself_is_shown_too() -> None:
    tasks = {"core_retrain_flow": [ran("train", "success"), ran("start_next", "failed")]}
    state = Chain(Airflow({"core_retrain_flow": "failed"}, tasks, {}), NO_REDIS, "t").look(NOW)
    failed = state.ending_step()
    assert failed is not None
    assert failed.task == "start_next"


def _finished_run(runs: Path, status: str) -> None:
    folder = runs / VERSION
    verdict = {
        "reasons": ["r"],
        "sharpe": 1.5,
        "max_drawdown": 0.1,
        "trades_per_year": 160.0,
        "n_pairs": 2,
        "n_bars": 999,
    }
    for name, content in {
        "theta/verdict.json": verdict,
        "publish/result.json": {"status": status, "reasons": ["r"]},
        "signal.json": {"signal": {"id": "x"}, "reason": None},
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize("status", ["deployed", "rejected"])
def test_a_verdict_either_way_is_a_result(tmp_path: Path, status: str) -> None:
    _finished_run(tmp_path, status)
    chain = Chain(Airflow(FINISHED, {}, {"catalog.return_value": CATALOG}), NO_REDIS, "t")
    ending = read_ending(chain, chain.look(NOW), tmp_path, "")
    assert ending.exit_code == 0
    assert (ending.signal is not None) == (status == "deployed")
    assert json.loads(ending.closing.line()) == {
        "model_version": VERSION,
        "status": status,
        "reasons": ["r"],
        "sharpe": 1.5,
        "max_drawdown": 0.1,
        "trades_per_year": 160.0,
        "n_pairs": 2,
        "n_bars": 999,
        "run_dir": str(tmp_path / VERSION),
    }


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [(10, "failed", 10), (20, "failed", 20), (30, "failed", 30), (-9, "failed", 1)],
)
def test_a_failed_task_closes_the_run_with_its_own_words(
    tmp_path: Path, code: int, status: str, exit_code: int
) -> None:
    tasks = {"core_retrain_flow": [ran("catalog", "success"), ran("train", "failed"), ran("record-run", "success")]}
    pushes: dict[str, dict[str, Any]] = {
        "catalog.return_value": CATALOG,
        "train.failure": {"task": "train", "exit_code": code, "text": "why"},
    }
    chain = Chain(Airflow({"core_retrain_flow": "failed"}, tasks, pushes), NO_REDIS, "t")
    ending = read_ending(chain, chain.look(NOW), tmp_path, "the log")
    assert (ending.closing.status, ending.exit_code, list(ending.closing.reasons)) == (status, exit_code, ["why"])
    assert ending.closing.model_version == VERSION


@pytest.mark.parametrize("part", [-1, 1])
def test_a_blocked_task_closes_the_run_as_blocked_though_airflow_counts_no_failure(tmp_path: Path, part: int) -> None:
    name = "train" if part < 0 else "train-shards"
    skipped = [ran("train", "skipped"), TaskState("gate-predictions", -1, "skipped", 0, None, None)]
    parts = [] if part < 0 else [ran(name, "success", part=0), ran(name, "skipped", part=1)]
    pushes: dict[str, dict[str, Any]] = {
        "catalog.return_value": CATALOG,
        f"{name}{'' if part < 0 else '[1]'}.failure": {"task": name, "exit_code": 11, "text": "why"},
    }
    tasks = {"core_retrain_flow": [ran("catalog", "success"), *parts, *skipped]}
    chain = Chain(Airflow({"core_retrain_flow": "success"}, tasks, pushes), NO_REDIS, "t")
    state = chain.look(NOW)
    assert state.outcome == "blocked"
    blocked = state.ending_step()
    assert blocked is not None
    assert (blocked.task, blocked.state) == (name, "blocked")
    assert "blocked" in _text(state)
    ending = read_ending(chain, state, tmp_path, "the log")
    assert (ending.closing.status, ending.exit_code, list(ending.closing.reasons)) == ("blocked", 0, ["why"])
    assert ending.closing.model_version == VERSION


def test_a_skip_without_words_is_no_block() -> None:
    tasks = {"core_publish_flow": [ran("publish", "success"), ran("infer", "skipped")]}
    assert Chain(Airflow(FINISHED, tasks, {}), NO_REDIS, "t").look(NOW).outcome == "finished"


def test_a_mapped_task_is_shown_by_its_gravest_part(tmp_path: Path) -> None:
    parts = [ran("train-shards", state, part=part) for part, state in enumerate(("success", "failed", "running"))]
    pushes = {"train-shards[1].failure": {"task": "train-shards", "exit_code": 20, "text": "the second part"}}
    chain = Chain(Airflow({"core_retrain_flow": "failed"}, {"core_retrain_flow": parts}, pushes), NO_REDIS, "t")
    state = chain.look(NOW)
    shown = [step for step in state.steps if step.task == "train-shards"]
    assert [(step.state, step.part) for step in shown] == [("failed", 1)]
    assert list(read_ending(chain, state, tmp_path, "").closing.reasons) == ["the second part"]


def test_a_task_that_could_not_speak_is_described_by_its_log(tmp_path: Path) -> None:
    tasks = {"core_retrain_flow": [ran("ingest", "failed")]}
    chain = Chain(Airflow({"core_retrain_flow": "failed"}, tasks, {}), NO_REDIS, "t")
    ending = read_ending(chain, chain.look(NOW), tmp_path, "the end of the log")
    assert ending.exit_code == 1
    assert "ingest" in ending.closing.reasons[0]
    assert ending.closing.reasons[0].endswith("the end of the log")
    assert ending.closing.run_dir is None


def _text(display_of: ChainState) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table(display_of))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_shows_which_task_how_far_and_how_long() -> None:
    steps = (
        Step("core_retrain_flow", "ingest", "success", 1, 4.25, None),
        Step("core_retrain_flow", "train", "running", 2, 65.0, Progress(3, 12, "steps")),
    )
    shown = _text(ChainState(steps, "running"))
    assert "ingest" in shown
    assert "4.2 s" in shown
    assert "running (try 2)" in shown
    assert "3/12 steps" in shown
    assert "1:05 min" in shown


def test_plain_lines_come_at_changes_and_now_and_then_with_progress() -> None:
    console = Console(file=io.StringIO(), width=200)
    display = PlainLines(console)
    for second in range(12):
        running = Step("f", "train", "running", 1, float(second), Progress(second, 12, "steps"))
        display.show(ChainState((running, Step("f", "next", "waiting", 0, None, None)), "running"))
    display.show(ChainState((Step("f", "train", "success", 1, 12.0, None),), "finished"))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 4
    assert ["0/12" in lines[0], "5/12" in lines[1], "10/12" in lines[2], "done" in lines[3]] == [True] * 4


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bar_never_overflows(done: int, total: int) -> None:
    shown = far(Step("f", "t", "running", 1, 1.0, Progress(done, total, "rows")))
    assert shown == "" if total == 0 else shown.count("█") + shown.count("░") == 20


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60.0, "1:00 min"), (3599.0, "59:59 min")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert took(Step("f", "t", "running", 1, seconds, None)) == words
