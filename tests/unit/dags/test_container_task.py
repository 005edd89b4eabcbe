"""A task as a container, against a stand-in for the engine's client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from dags.factory.command_line import task_words
from dags.factory.container_task import LABEL, ContainerTask
from dags.factory.outcome import TaskRetryableError
from tests.unit.dags.test_process_task import Pushes


class Engine:
    """Remembers what it was asked and lets every container end as it was told."""

    def __init__(self, code: int, lines: list[str], leftovers: list[str]) -> None:
        self.code, self.lines, self.leftovers = code, lines, leftovers
        self.removed: list[str] = []
        self.created: dict[str, Any] = {}
        self.filters: dict[str, str] = {}

    def images(self, name: str) -> list[str]:
        return [name]

    def containers(self, *, all: bool, filters: dict[str, str]) -> list[dict[str, str]]:
        assert all, "a stopped container counts too"
        self.filters = filters
        return [{"Id": leftover} for leftover in self.leftovers]

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, **options: Any) -> dict[str, str]:
        assert self.removed == self.leftovers, "the container of an earlier try is still there"
        self.created = options
        return {"Id": "new"}

    def attach(self, **_: Any) -> list[bytes]:
        return [f"{line}\n".encode() for line in self.lines]

    def start(self, _: str) -> None:
        return

    def wait(self, _: str) -> dict[str, int]:
        return {"StatusCode": self.code}

    def remove_container(self, container: str, force: bool) -> None:
        assert force
        self.removed.append(container)


def run(engine: Engine, monkeypatch: pytest.MonkeyPatch, pushes: Pushes | None = None) -> dict[str, Any]:
    monkeypatch.setattr(ContainerTask, "cli", engine)
    words = task_words("/configs", "train", {"run-id": "R", "data": ""})
    task = ContainerTask(task_id="train", image="tasks:1", command=words)
    task.labels = {LABEL: "flow/run/train"}
    return task.execute({"ti": pushes or Pushes()})


def test_the_last_log_line_becomes_the_same_result_as_a_process_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(0, ['{"event": "log"}', '{"task": "train", "outputs": {"n": 1}}'], [])
    assert run(engine, monkeypatch) == {"task": "train", "outputs": {"n": 1}}
    assert engine.created["command"][5:] == ["train", "--run-id=R"]
    assert engine.removed == ["new"]


def test_containers_of_earlier_tries_are_removed_before_a_new_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(0, ['{"outputs": {}}'], ["old", "older"])
    run(engine, monkeypatch)
    assert engine.filters == {"label": f"{LABEL}=flow/run/train"}
    assert engine.removed == ["old", "older", "new"]


def test_the_labels_name_the_task_of_the_run() -> None:
    task = ContainerTask(task_id="train", image="tasks:1", command=[])
    assert task.labels == {LABEL: "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}"}
    assert "labels" in task.template_fields


@pytest.mark.parametrize(
    ("code", "error"),
    [(20, AirflowFailException), (11, AirflowFailException), (30, TaskRetryableError), (137, TaskRetryableError)],
)
def test_exit_codes_mean_what_they_mean_for_a_process(
    monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    fields = {"code": "A_B_C", "message": "m", "where": "w", "remedy": "r"}
    pushes = Pushes()
    with pytest.raises(error, match="A_B_C: m"):
        run(Engine(code, [json.dumps({"error": fields})], []), monkeypatch, pushes)
    assert pushes.pushed["failure"]["exit_code"] == code
