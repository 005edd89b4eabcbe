"""A task as a container, against a stand-in for the engine's client."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from docker.errors import APIError

from dags.factory.container_task import LABEL, TRY_LABEL, ContainerTask
from dags.factory.outcome import TaskRetryableError
from tests.unit.dags.test_process_task import Pushes, words

HOST = {"read_only": True, "cap_drop": ["ALL"]}


class Engine:
    """Remembers what it was asked and lets every container end as it was told."""

    def __init__(
        self, code: int = 0, lines: tuple[str, ...] = ('{"outputs": {}}',), leftovers: tuple[str, ...] = ()
    ) -> None:
        self.code, self.lines, self.present = code, lines, list(leftovers)
        self.removed: list[str] = []
        self.stopped: list[str] = []
        self.created: dict[str, Any] = {}
        self.filters: dict[str, str] = {}
        self.held = ["tasks:1"]
        self.pull_answer: list[dict[str, str]] | APIError = [{"error": "no such host"}]
        self.on_wait: BaseException | None = None
        self.on_remove: BaseException | None = None

    def images(self, name: str) -> list[str]:
        return [image for image in self.held if image == name]

    def pull(self, name: str, stream: bool, decode: bool) -> list[dict[str, str]]:
        if isinstance(self.pull_answer, APIError):
            raise self.pull_answer
        return self.pull_answer

    def containers(self, *, all: bool, filters: dict[str, str]) -> list[dict[str, str]]:
        assert all, "a stopped container counts too"
        self.filters = filters
        return [{"Id": name} for name in self.present]

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, **options: Any) -> dict[str, str]:
        assert self.present == [], "the container of an earlier try is still there"
        self.created = options
        self.present = ["new"]
        return {"Id": "new"}

    def attach(self, **_: Any) -> list[bytes]:
        return [f"{line}\n".encode() for line in self.lines]

    def start(self, _: str) -> None:
        return

    def wait(self, _: str) -> dict[str, int]:
        if self.on_wait is not None:
            raise self.on_wait
        return {"StatusCode": self.code}

    def stop(self, container: str, timeout: int) -> None:
        assert timeout < 5, "Airflow kills a worker that takes longer to stop"
        self.stopped.append(container)

    def remove_container(self, container: str, v: bool, force: bool) -> None:
        assert force
        assert v, "the volume without a name stays behind"
        self.present.remove(container)
        self.removed.append(container)
        if self.on_remove is not None:
            raise self.on_remove


class Hook:
    client_created = True


def make(engine: Engine | None, monkeypatch: pytest.MonkeyPatch, image: str = "tasks:1") -> ContainerTask:
    monkeypatch.setattr(ContainerTask, "cli", engine)
    monkeypatch.setattr(ContainerTask, "hook", Hook())
    task = ContainerTask(
        task_id="train",
        image=image,
        command=words("train", {"run-id": "R", "data": ""}),
        host=HOST,
        execution_timeout=datetime.timedelta(seconds=60),
    )
    task.labels = {LABEL: "flow/run/train/-1", TRY_LABEL: "1"}
    return task


def run(engine: Engine, monkeypatch: pytest.MonkeyPatch, pushes: Pushes | None = None, **task: str) -> dict[str, Any]:
    return make(engine, monkeypatch, **task).execute({"ti": pushes or Pushes()})


def refused(code: int) -> APIError:
    response = requests.Response()
    response.status_code = code
    return APIError(f"{code} from the engine", response=response, explanation="because")


def test_the_last_log_line_becomes_the_same_result_as_a_process_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(0, ('{"event": "log"}', '{"task": "train", "outputs": {"n": 1}}'))
    assert run(engine, monkeypatch) == {"task": "train", "outputs": {"n": 1}}
    assert engine.created["command"][-2:] == ["train", "--run-id=R"]
    assert engine.stopped == engine.removed == ["new"]


def test_the_engine_is_told_what_dockeroperator_has_no_argument_for(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    run(engine, monkeypatch)
    assert HOST.items() <= engine.created["host_config"].items()
    assert engine.created["host_config"]["privileged"] is False


def test_containers_of_earlier_tries_are_removed_before_a_new_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(leftovers=("old", "older"))
    run(engine, monkeypatch)
    assert engine.filters == {"label": f"{LABEL}=flow/run/train/-1"}
    assert engine.removed == ["old", "older", "new"]


def test_the_labels_name_the_part_of_the_task_of_the_run_and_the_try() -> None:
    task = ContainerTask(task_id="train", image="tasks:1", command=[], host={})
    assert task.labels == {
        LABEL: "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}/{{ ti.map_index }}",
        TRY_LABEL: "{{ ti.try_number }}",
    }
    assert "labels" in task.template_fields


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (10, AirflowFailException),
        (20, AirflowFailException),
        (11, AirflowSkipException),
        (30, TaskRetryableError),
        (137, TaskRetryableError),
    ],
)
def test_exit_codes_mean_what_they_mean_for_a_process(
    monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    fields = {"code": "A_B_C", "message": "m", "where": "w", "remedy": "r"}
    engine, pushes = Engine(code, (json.dumps({"error": fields, "outputs": {"report": "runs/R/x.html"}}),)), Pushes()
    task = make(engine, monkeypatch)
    with pytest.raises(error, match="A_B_C: m"):
        task.execute({"ti": pushes})
    assert pushes.pushed["failure"]["exit_code"] == code
    assert task.report == "runs/R/x.html"
    assert engine.present == []


@pytest.mark.parametrize("how", ["error line", "refused"])
def test_an_image_that_is_not_there_is_one_clear_failure(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    engine, pushes = Engine(), Pushes()
    engine.pull_answer = [{"error": "no such host"}] if how == "error line" else refused(404)
    with pytest.raises(AirflowFailException, match="image tasks:2 is not on the engine and cannot be pulled"):
        run(engine, monkeypatch, pushes, image="tasks:2")
    assert "make images" in pushes.pushed["failure"]["text"]
    assert engine.created == {}


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (requests.exceptions.ConnectionError("the engine is away"), TaskRetryableError),
        (refused(500), TaskRetryableError),
        (refused(400), AirflowFailException),
    ],
)
def test_an_engine_that_is_away_is_tried_again_and_one_that_refuses_is_not(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception, error: type[Exception]
) -> None:
    engine, pushes = Engine(), Pushes()
    engine.on_wait = trouble
    with pytest.raises(error, match="the container engine failed the task"):
        run(engine, monkeypatch, pushes)
    assert "failure" in pushes.pushed
    assert engine.removed == ["new"]


def test_an_engine_that_was_never_there_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: ContainerTask) -> None:
        raise AirflowException("Failed to establish connection to any given Docker hosts.")

    task = make(None, monkeypatch)
    monkeypatch.setattr(ContainerTask, "cli", property(away))
    with pytest.raises(TaskRetryableError, match="does not answer"):
        task.execute({"ti": Pushes()})


def test_a_task_that_takes_too_long_is_stopped_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, pushes = Engine(), Pushes()
    engine.on_wait = AirflowTaskTimeout()
    with pytest.raises(AirflowTaskTimeout):
        run(engine, monkeypatch, pushes)
    assert engine.stopped == engine.removed == ["new"]
    assert "longer than its 60 s" in pushes.pushed["failure"]["text"]


@pytest.mark.parametrize("code", [404, 409])
def test_a_container_somebody_else_removes_does_not_hide_how_the_task_ended(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    engine = Engine(137)
    engine.on_remove = refused(code)
    with pytest.raises(TaskRetryableError, match="exited with 137"):
        run(engine, monkeypatch)


def test_on_kill_stops_and_removes_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(leftovers=("running",))
    make(engine, monkeypatch).on_kill()
    assert engine.stopped == engine.removed == ["running"]
