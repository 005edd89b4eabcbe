"""Which containers a task removes, and when, against a stand-in for the engine's client."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from dags.factory.container_task import LABEL, RUN_LABEL, TRY_LABEL, ending_run
from dags.factory.outcome import TaskRetryableError
from tests.unit.dags.fake_engine import FakeEngine, make, refused, run
from tests.unit.dags.test_process_task import Pushes


def test_containers_of_earlier_tries_are_removed_before_a_new_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    engine.present = {name: {LABEL: "flow/run/train/-1"} for name in ("old", "older")}
    engine.present["other"] = {LABEL: "flow/run/ingest/-1"}
    run(engine, monkeypatch)
    assert engine.removed == ["old", "older", "new"]


def test_another_stack_on_the_engine_keeps_its_container_of_the_same_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stacks start the same month's run under the same id."""
    engine = FakeEngine()
    task = make(engine, monkeypatch)
    engine.present, engine.networks["theirs"] = {"theirs": dict(task.labels)}, "another-stack"
    task.execute({"ti": Pushes()})
    task.on_kill()
    assert list(engine.present) == ["theirs"]


def test_a_try_airflow_gave_up_leaves_the_container_of_the_next_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(137)
    task = make(engine, monkeypatch)

    def start_next_try() -> None:
        engine.present = {"next": {**task.labels, TRY_LABEL: "2"}}

    engine.while_running = start_next_try
    engine.on_wait = refused(404, "no such container")
    with pytest.raises(TaskRetryableError):
        task.execute({"ti": Pushes()})
    assert list(engine.present) == ["next"]
    assert engine.stopped == []


def test_also_a_last_task_airflow_gave_up_leaves_the_container_of_the_next_try_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine(137)
    task = make(engine, monkeypatch)
    task.ends_run = True

    def start_next_try() -> None:
        engine.present["next"] = {**task.labels, TRY_LABEL: "2"}

    engine.while_running = start_next_try
    with pytest.raises(TaskRetryableError):
        task.execute({"ti": Pushes()})
    assert list(engine.present) == ["next"]


def test_a_task_that_takes_too_long_is_stopped_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, pushes = FakeEngine(), Pushes()
    engine.on_wait = AirflowTaskTimeout()
    with pytest.raises(AirflowTaskTimeout):
        run(engine, monkeypatch, pushes)
    assert engine.stopped == engine.removed == ["new"]
    assert "longer than its 60 s" in pushes.pushed["failure"]["text"]


@pytest.mark.parametrize("code", [404, 409])
def test_a_container_somebody_else_removes_does_not_hide_how_the_task_ended(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    engine = FakeEngine(137)
    engine.on_remove = refused(code)
    with pytest.raises(TaskRetryableError, match="exited with 137"):
        run(engine, monkeypatch)


def test_on_kill_stops_and_removes_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    task = make(engine, monkeypatch)
    engine.present = {"running": dict(task.labels), "next": {**task.labels, TRY_LABEL: "2"}}
    task.on_kill()
    assert engine.stopped == engine.removed == ["running"]


def nothing_to_record(context: Context) -> None:
    raise AirflowSkipException("nothing to record")


def leave_behind(engine: FakeEngine) -> None:
    """What two killed workers left of a run, and what is none of its business."""
    engine.present = {
        "ingest": {LABEL: "flow/run/ingest/-1", RUN_LABEL: "flow/run"},
        "train": {LABEL: "flow/run/train-shards/1", RUN_LABEL: "flow/run"},
        "other": {LABEL: "flow/run-2/ingest/-1", RUN_LABEL: "flow/run-2"},
        "theirs": {LABEL: "flow/run/ingest/-1", RUN_LABEL: "flow/run"},
    }
    engine.networks["theirs"] = "another-stack"


def test_a_run_that_ends_leaves_no_container_also_where_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    task = make(engine, monkeypatch)
    leave_behind(engine)
    with pytest.raises(AirflowSkipException):
        ending_run(nothing_to_record)({"task": task, "ti": Pushes()})
    assert engine.stopped == engine.removed == ["ingest", "train"]
    assert engine.created == {}


@pytest.mark.parametrize(("code", "image"), [(0, "tasks:1"), (20, "tasks:1"), (0, "tasks:2")])
def test_a_run_that_ends_leaves_no_container_however_its_last_task_ends(
    monkeypatch: pytest.MonkeyPatch, code: int, image: str
) -> None:
    engine = FakeEngine(code)
    task = make(engine, monkeypatch, image)
    leave_behind(engine)
    context = {"task": task, "ti": Pushes()}
    ending_run(lambda _: None)(context)
    assert engine.removed == [], "a container that cannot be removed would keep the ending from being recorded"
    with nullcontext() if (code, image) == (0, "tasks:1") else pytest.raises(AirflowFailException):
        task.execute(context)
    assert list(engine.present) == ["other", "theirs"]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (ConnectionResetError("the engine went away"), TaskRetryableError),
        (refused(500), TaskRetryableError),
        (refused(403), AirflowFailException),
    ],
)
def test_what_cannot_be_removed_at_the_end_of_a_run_is_said(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception, error: type[Exception]
) -> None:
    engine = FakeEngine()
    engine.on_remove = trouble
    task = make(engine, monkeypatch)
    leave_behind(engine)
    with pytest.raises(error, match="the container engine failed the task"):
        ending_run(nothing_to_record)({"task": task, "ti": Pushes()})
