"""A stand-in for the engine's client (docker-py): keeps containers, and lets each end as it was told."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import requests
from docker.errors import APIError, create_api_error_from_http_exception

from dags.factory.container_task import LABEL, RUN_LABEL, TRY_LABEL, ContainerTask
from tests.unit.dags.test_process_task import Pushes, words

HOST = {"read_only": True, "cap_drop": ["ALL"]}


class FakeEngine:
    """Remembers what it was asked.

    Attributes:
        code: exit code of every container.
        lines: what a container says on standard output, in order.
        stream: what is seen of it while it runs, both streams in the engine's order.
        present: containers, by id, with their labels.
        networks: of the containers that are not on the network `stack`.
        held: names of the images it has; after a pull those it `gives` too.
        while_running: called while the container is waited for.
    """

    def __init__(self, code: int = 0, lines: tuple[str, ...] = ('{"outputs": {}}',)) -> None:
        self.code, self.lines = code, lines
        self.stream: Iterable[bytes] = [f"{line}\n".encode() for line in lines]
        self.present: dict[str, dict[str, str]] = {}
        self.networks: defaultdict[str, str] = defaultdict(lambda: "stack")
        self.while_running: Callable[[], None] = lambda: None
        self.removed: list[str] = []
        self.stopped: list[str] = []
        self.created: dict[str, Any] = {}
        self.held = ["tasks:1"]
        self.pull_answer: list[dict[str, str]] | Exception = []
        self.gives: list[str] = []
        self.pulled: list[str] = []
        self.on_wait: BaseException | None = None
        self.on_remove: BaseException | None = None

    def images(self, name: str) -> list[str]:
        return [image for image in self.held if image == name]

    def pull(self, name: str, stream: bool, decode: bool) -> list[dict[str, str]]:
        assert stream
        assert decode
        self.pulled.append(name)
        if isinstance(self.pull_answer, Exception):
            raise self.pull_answer
        self.held += self.gives
        return self.pull_answer

    def containers(self, *, all: bool, filters: dict[str, Any]) -> list[dict[str, Any]]:
        assert all, "a stopped container counts too"
        wanted = dict(label.split("=", 1) for label in filters["label"])
        return [
            {"Id": name, "Labels": labels}
            for name, labels in self.present.items()
            if wanted.items() <= labels.items() and self.networks[name] == filters["network"]
        ]

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, **options: Any) -> dict[str, str]:
        self.created = options
        self.present["new"] = options["labels"]
        return {"Id": "new"}

    def attach(self, container: str, **_: Any) -> Iterable[bytes]:
        assert container in self.present
        return self.stream

    def start(self, container: str) -> None:
        assert container in self.present

    def wait(self, container: str) -> dict[str, int]:
        self.while_running()
        if self.on_wait is not None:
            raise self.on_wait
        return {"StatusCode": self.code}

    def logs(self, container: str, stdout: bool, stderr: bool) -> bytes:
        assert container in self.present, "the log went with the container"
        assert (stdout, stderr) == (True, False)
        return "".join(f"{line}\n" for line in self.lines).encode()

    def stop(self, container: str, timeout: int) -> None:
        assert timeout < 5, "Airflow kills a worker that takes longer to stop"
        self.stopped.append(container)

    def remove_container(self, container: str, v: bool, force: bool) -> None:
        assert force
        assert v, "the volume without a name stays behind"
        del self.present[container]
        self.removed.append(container)
        if self.on_remove is not None:
            raise self.on_remove


def refused(code: int, explanation: str = "because") -> APIError:
    """The engine's answer to a request it does not fulfil, as docker-py raises it."""
    response = requests.Response()
    response.status_code = code
    response._content = json.dumps({"message": explanation}).encode()
    try:
        create_api_error_from_http_exception(requests.HTTPError(f"{code} from the engine", response=response))
    except APIError as error:
        return error


class _Hook:
    client_created = True


def make(engine: FakeEngine | None, monkeypatch: pytest.MonkeyPatch, image: str = "tasks:1") -> ContainerTask:
    """The first try of the task `train` of the run `run` of the flow `flow`, on this engine."""
    monkeypatch.setattr(ContainerTask, "cli", engine)
    monkeypatch.setattr(ContainerTask, "hook", _Hook())
    task = ContainerTask(
        task_id="train",
        image=image,
        command=words("train", {"run-id": "R", "data": ""}),
        host=HOST,
        network_mode="stack",
        execution_timeout=datetime.timedelta(seconds=60),
    )
    task.labels = {LABEL: "flow/run/train/-1", RUN_LABEL: "flow/run", TRY_LABEL: "1"}
    return task


def run(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, pushes: Pushes | None = None, **task: str
) -> dict[str, Any]:
    """The result of that task."""
    return make(engine, monkeypatch, **task).execute({"ti": pushes or Pushes()})
