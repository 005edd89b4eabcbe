"""The flows as Airflow runs them, on a database of its own, with stand-ins for the tasks (`dag.test`)."""

from __future__ import annotations

import datetime
import json
import logging
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.config.events import EVENT_FIELDS, Event
from core.telemetry.endings import early_ending
from dags.factory.approval import Approval
from dags.factory.command_line import LONGEST_WORDS
from tests.fixtures.config_tree import change, copy_tree
from tests.unit.dags.conftest import PROCESS, load_flows
from tests.unit.dags.fake_tasks import write_fake_tasks

A_LOOK = 1
"""Seconds between two looks of dag.test at what it waits for."""
MODEL = {"run_id": "20240101_0000_0123abcd", "model_version": "20240101_0000_0123abcd"}


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory, airflow_database: None) -> Iterator[Any]:
    """The flows where parts run side by side and publishing needs a person, on a fresh Airflow database."""
    folder = tmp_path_factory.mktemp("flows")
    config = copy_tree(folder)
    change(config, "retrain_policy.yaml", "retries.delay_seconds", 0.01)
    (config / "envs/dev/retrain_policy.yaml").unlink()  # the base has parts
    laptop = config / "envs/dev/environment.yaml"
    lines = laptop.read_text().splitlines(keepends=True)
    laptop.write_text("".join(line for line in lines if not line.startswith("publish_approval")))
    environment = {
        **PROCESS,
        "CONFIG_ROOT": str(config),
        "PYTHONPATH": str(write_fake_tasks(folder / "fake")),
        "AIRFLOW__API__BASE_URL": "http://airflow.test",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        bag = load_flows({name: environment[name] for name in PROCESS})
        assert bag.import_errors == {}
        yield bag.dags


@dataclass
class Ran:
    """A run of a flow: its state, that of each task (or part), and the calls of tasks in order."""

    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    calls: list[list[str]]
    run: Any

    def call(self, task: str) -> list[str]:
        """The words after the task's name, of its only call."""
        (found,) = [words for words in self.calls if task in words]
        return found[found.index(task) + 1 :]


@dataclass
class Runner:
    """Runs a flow; while it waits for a person, which it does by sleeping a second, `meanwhile` is done once."""

    flows: Any
    archive: Path
    meanwhile: Callable[[], None] | None = None

    def behave(self, task: str, how: str) -> None:
        (self.archive / f"{task}.behaviour").write_text(how)

    def run(self, dag_id: str, conf: dict[str, Any], meanwhile: Callable[[], None] | None = None) -> Ran:
        self.meanwhile = meanwhile
        run = self.flows[dag_id].test(run_conf={"trace_id": "trace", **conf}, logical_date=None)
        assert self.meanwhile is None, "nobody was asked"
        tasks, tries = {}, {}
        for ti in run.get_task_instances():
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            tasks[name], tries[name] = str(ti.state), ti.try_number
        files = sorted((self.archive / "calls").iterdir())
        return Ran(str(run.state), tasks, tries, [json.loads(file.read_text())["words"] for file in files], run)


@pytest.fixture
def runner(flows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    archive = tmp_path / "archive"
    archive.mkdir()
    monkeypatch.setenv("ARCHIVE_PATH", str(archive))
    monkeypatch.chdir(tmp_path)  # `python -m tasks` looks where it stands first
    made, sleep = Runner(flows, archive), time.sleep

    def sleep_shorter(seconds: float) -> None:
        if seconds == A_LOOK and made.meanwhile is not None:
            meanwhile, made.meanwhile = made.meanwhile, None
            meanwhile()
        sleep(min(seconds, 0.02))

    monkeypatch.setattr(time, "sleep", sleep_shorter)
    return made


def test_parts_run_before_the_whole_a_killed_one_again_and_the_next_flow_gets_all_it_needs(runner: Runner) -> None:
    runner.behave("features-2of2", "die once")
    conf = {"pairs": ["A-B", "C-D"], "history_months": 24, "dry_run": True, "reason": "a test"}
    ran = runner.run("core_retrain_flow", conf)
    assert ran.state == "success"
    assert ran.tasks.pop("record-run") == "skipped"
    assert set(ran.tasks.values()) == {"success"}
    assert (ran.tries["features-shards[0]"], ran.tries["features-shards[1]"]) == (1, 2)
    assert {f"{task}-shards[{part}]" for task in ("ingest", "features", "train") for part in (0, 1)} < set(ran.tasks)
    for words in ran.calls:
        assert words[2:4] == ["--pairs=A-B,C-D", "--history-months=24"]
    names = [words[4] for words in ran.calls]
    assert names[:5] == ["admit", "ingest", "ingest", "ingest", "catalog"]
    assert sorted(words[5:] for words in ran.calls[1:3]) == [["--shard=1/2"], ["--shard=2/2"]]
    assert ran.calls[3][5:] == []
    assert _next_conf("core_backtest_flow") == {
        **conf,
        **MODEL,
        "as_of": "2024-01-01T00:00:00+00:00",
        "trace_id": "trace",
    }


def test_a_red_gate_stops_the_chain_at_once_and_shows_its_report(runner: Runner) -> None:
    runner.behave("gate-features", "exit 10")
    ran = runner.run("core_retrain_flow", {})
    assert ran.state == "failed"
    assert (ran.tasks["gate-features"], ran.tries["gate-features"]) == ("failed", 1)
    assert {ran.tasks[name] for name in ("train", "gate-predictions", "start_next")} == {"upstream_failed"}
    assert ran.tasks["record-run"] == "success"
    told = dict(word[2:].split("=", 1) for word in ran.call("record-run"))
    assert told["status"] == "failed"
    assert told["run-id"] == MODEL["run_id"]
    assert told["reason"].startswith("TEST_FAKE_FAILURE: it was told to fail")
    for name in ("canonical", "features"):
        report = f"/reports/runs/{MODEL['run_id']}/gates/{name}/index.html"
        assert _pushed(ran, f"gate-{name}", "_link_ReportLink") == report


def test_a_blocked_part_skips_the_rest_and_the_run_is_no_failure(runner: Runner) -> None:
    runner.behave("train-2of2", "exit 11")
    ran = runner.run("core_retrain_flow", {})
    assert ran.state == "success"
    assert (ran.tasks["train-shards[0]"], ran.tasks["train-shards[1]"]) == ("success", "skipped")
    assert {ran.tasks[name] for name in ("train", "gate-predictions", "start_next")} == {"skipped"}
    told = dict(word[2:].split("=", 1) for word in ran.call("record-run"))
    assert told["status"] == "blocked"
    assert told["reason"].startswith("TEST_FAKE_FAILURE")


class Outbox:
    """Stands in for the outbox: keeps what is posted."""

    posted: list[tuple[str, str, dict[str, str]]] = []  # noqa: RUF012 - emptied by each test

    def __init__(self, postgres_url: str) -> None:
        assert postgres_url == "postgresql:///core"

    def post(self, event: str, key: str, fields: dict[str, str]) -> bool:
        self.posted.append((event, key, fields))
        return True


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> type[Outbox]:
    monkeypatch.setattr("core.telemetry.outbox.Outbox", Outbox)
    monkeypatch.setenv("POSTGRES_URL", "postgresql:///core")
    monkeypatch.setattr(Outbox, "posted", [])
    return Outbox


@pytest.mark.parametrize(("code", "event"), [("20", Event.RUN_FAILED), ("11", Event.RUN_BLOCKED)])
def test_an_ending_that_record_run_cannot_record_is_told_in_its_place(
    runner: Runner, outbox: type[Outbox], code: str, event: Event
) -> None:
    runner.behave("backtest", f"exit {code}")
    runner.behave("record-run", "exit 125")
    ran = runner.run("core_backtest_flow", MODEL)
    assert ran.tasks["record-run"] == "failed"
    ((posted, key, fields),) = outbox.posted
    told = early_ending(
        "failed" if event is Event.RUN_FAILED else "blocked",
        "core_backtest_flow",
        "trace",
        MODEL["run_id"],
        dict(word[2:].split("=", 1) for word in ran.call("record-run"))["reason"],
    )
    assert (posted, key, fields) == (event, told.key, told.fields)
    assert set(fields) == EVENT_FIELDS[event]
    assert (fields["code"], fields["run_id"]) == ("TEST_FAKE_FAILURE", MODEL["run_id"])


def test_a_run_that_another_model_left_under_the_trace_is_not_started_again(runner: Runner) -> None:
    assert runner.run("core_backtest_flow", {**MODEL, "trace_id": "again"}).tasks["start_next"] == "success"
    assert runner.run("core_backtest_flow", {**MODEL, "trace_id": "again"}).tasks["start_next"] == "success"
    ran = runner.run("core_backtest_flow", {**MODEL, "model_version": "other", "trace_id": "again"})
    assert ran.tasks["start_next"] == "failed"
    assert any("model_version 20240101_0000_0123abcd, not other" in word for word in ran.call("record-run"))


def test_a_long_log_with_control_characters_reaches_record_run_in_part(runner: Runner) -> None:
    runner.behave("backtest", "rattle")
    reason = dict(word[2:].split("=", 1) for word in runner.run("core_backtest_flow", MODEL).call("record-run"))[
        "reason"
    ]
    assert reason.startswith("the task backtest exited with 20\n")
    assert reason.endswith("the end")
    assert len(reason) <= LONGEST_WORDS
    assert all(letter.isprintable() or letter == "\n" for letter in reason)


def test_a_person_approves_and_the_model_is_published(runner: Runner, outbox: type[Outbox]) -> None:
    ran = runner.run("core_publish_flow", MODEL, lambda: _answer("Approve", {"reason": "looks right"}))
    assert ran.state == "success"
    assert [words[2:] for words in ran.calls] == [
        ["publish", *_model_words(), "--dry-run"],
        ["publish", *_model_words(), "--approved-by=Olga Ops"],
        ["infer", *_model_words()],
    ]
    assert ran.tasks["refuse"] == ran.tasks["record-run"] == "skipped"
    ((event, key, fields),) = outbox.posted
    assert (event, key) == ("approval_requested", "approval/trace/1")
    assert set(fields) == EVENT_FIELDS[Event.APPROVAL_REQUESTED]
    assert (fields["model_version"], fields["sharpe"], fields["max_drawdown"]) == (
        MODEL["model_version"],
        "2.5",
        "0.04",
    )
    assert fields["report"] == f"/reports/runs/{MODEL['run_id']}/report/report.html"
    assert fields["link"].startswith("http://airflow.test/dags/core_publish_flow/runs/")


def test_publish_is_given_no_approver_where_approve_is_marked_as_success_by_hand(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Approval, "execute", lambda self, context: None)  # a success without an answer
    runner.behave("publish", "needs an approver")
    ran = runner.run("core_publish_flow", MODEL)
    assert ran.tasks["approve"] == "success"
    assert [words[2:] for words in ran.calls[:2]] == [
        ["publish", *_model_words(), "--dry-run"],
        ["publish", *_model_words()],
    ]
    assert ran.tasks["publish"] == ran.tasks["infer"] == "skipped"
    assert "--status=blocked" in ran.call("record-run")


@pytest.mark.parametrize("how", ["Reject", "time-out"])
def test_a_refusal_and_silence_register_the_model_as_rejected_and_publish_nothing(
    runner: Runner, outbox: type[Outbox], how: str
) -> None:
    answer = _time_out if how == "time-out" else lambda: _answer("Reject", {"reason": "too few trades"})
    ran = runner.run("core_publish_flow", MODEL, answer)
    assert ran.state == "success"
    assert [words[2] for words in ran.calls] == ["publish", "refuse"]
    told = {"time-out": ("time-out", "nobody approved in time"), "Reject": ("Olga Ops", "too few trades")}[how]
    assert ran.call("refuse") == [*_model_words(), f"--actor={told[0]}", f"--reason={told[1]}"]
    assert {ran.tasks[name] for name in ("publish", "deployed", "infer", "record-run")} == {"skipped"}


def test_a_refusal_that_cannot_be_registered_fails_the_run_and_is_recorded(
    runner: Runner, outbox: type[Outbox]
) -> None:
    runner.behave("refuse", "exit 20")
    ran = runner.run("core_publish_flow", MODEL, lambda: _answer("Reject", {}))
    assert ran.state == "failed"
    assert "--status=failed" in ran.call("record-run")


@pytest.mark.parametrize("dry_run", [False, True])
def test_nobody_is_asked_where_nothing_would_be_deployed(runner: Runner, outbox: type[Outbox], dry_run: bool) -> None:
    if not dry_run:
        runner.behave("publish", "rejected")
    ran = runner.run("core_publish_flow", {**MODEL, "dry_run": dry_run})
    assert ran.state == "success"
    assert ran.calls[-1][2:] == ["publish", *_model_words(), *(["--dry-run"] if dry_run else [])]
    assert len(ran.calls) == 2
    assert outbox.posted == []
    assert {ran.tasks[name] for name in ("approve", "refuse", "infer")} == {"skipped"}


def test_a_blocked_rehearsal_publishes_nothing(runner: Runner, outbox: type[Outbox]) -> None:
    runner.behave("publish", "exit 11")
    ran = runner.run("core_publish_flow", MODEL)
    assert ran.state == "success"
    assert {ran.tasks[name] for name in ("rehearse", "approve", "publish", "refuse", "infer")} == {"skipped"}
    assert [words[2] for words in ran.calls] == ["publish", "record-run"]
    assert "--status=blocked" in ran.call("record-run")


def _model_words() -> list[str]:
    return [f"--run-id={MODEL['run_id']}", f"--model-version={MODEL['model_version']}"]


def _pushed(ran: Ran, task: str, key: str) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(key=key, task_ids=task, dag_ids=ran.run.dag_id, run_id=ran.run.run_id)
        return XComModel.deserialize_value(session.execute(query.with_only_columns(XComModel.value)).first())


def _next_conf(dag_id: str) -> dict[str, Any]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == "trace")).one()
        return dict(run.conf)


def _waiting() -> Any:
    """The task that waits for a person."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    with create_session() as session:
        return session.scalars(select(TaskInstance).where(TaskInstance.state == TaskInstanceState.AWAITING_INPUT)).one()


def _answer(option: str, params: dict[str, str]) -> None:
    """As the API server's route does when a person answers in the UI."""
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
    from airflow.utils.session import create_session

    waiting = _waiting()
    person = types.SimpleNamespace(get_id=lambda: "7", get_name=lambda: "Olga Ops")
    payload = UpdateHITLDetailPayload(chosen_options=[option], params_input=params)
    with create_session() as session:
        update_hitl_detail(waiting.dag_id, waiting.run_id, waiting.task_id, payload, person, session)


def _time_out() -> None:
    """As the scheduler does when the time for an answer has passed."""
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    waiting = _waiting()
    with create_session() as session:
        found = session.get(TaskInstance, waiting.id)
        found.trigger_timeout -= datetime.timedelta(days=30)
    SchedulerJobRunner.check_awaiting_input_timeouts(types.SimpleNamespace(log=logging.getLogger("scheduler")))
