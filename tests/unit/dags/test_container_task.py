"""A task as a container, against a stand-in for the engine's client."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
import urllib3
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from docker.utils.socket import STDOUT, frames_iter

from dags.factory.container_task import LABEL, RUN_LABEL, TRY_LABEL, ContainerTask
from dags.factory.outcome import TRANSIENT, TaskRetryableError
from tests.unit.dags.fake_engine import HOST, FakeEngine, make, refused, run
from tests.unit.dags.test_process_task import Pushes


@contextmanager
def connection_that_breaks(sent: bytes) -> Iterator[socket.socket]:
    """A connection over which something came before the other side was killed."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as connection:
        other, _ = server.accept()
        other.sendall(sent)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.close()
        yield connection


def test_the_last_line_becomes_the_same_result_as_a_process_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(0, ('{"event": "log"}', '{"task": "train", "outputs": {"n": 1}}'))
    assert run(engine, monkeypatch) == {"task": "train", "outputs": {"n": 1}}
    assert engine.created["command"][-2:] == ["train", "--run-id=R"]
    assert engine.stopped == engine.removed == ["new"]


@pytest.mark.parametrize("code", [0, 10])
def test_the_result_is_what_is_said_on_standard_output_whatever_comes_after_it(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The engine shows two streams in any order, and the connection it shows them on may end early."""
    fields = {"code": "A_B_C", "message": "m", "where": "w", "remedy": "r"}
    outputs = {"report": "runs/R/x.html", "said": "a\u2028b"}
    engine = FakeEngine(code, (json.dumps({"error": fields, "outputs": outputs}, ensure_ascii=False), "goodbye", ""))
    pushes = Pushes()
    for stream in ([*engine.stream, b"a warning on standard error\n"], [b"it begins"]):
        engine.stream = stream
        task = make(engine, monkeypatch)
        if code == 0:
            assert task.execute({"ti": pushes})["outputs"] == outputs
        else:
            with pytest.raises(AirflowFailException, match="A_B_C: m"):
                task.execute({"ti": pushes})
        assert task.report == "runs/R/x.html"


def test_a_task_that_says_nothing_is_described_by_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(1, ())
    engine.stream = [b"Traceback\n", b"ValueError: oops\n"]
    with pytest.raises(AirflowFailException, match=r"exited with 1\nTraceback\nValueError: oops"):
        run(engine, monkeypatch)


def test_the_engine_is_told_what_dockeroperator_has_no_argument_for(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    run(engine, monkeypatch)
    assert HOST.items() <= engine.created["host_config"].items()
    assert engine.created["host_config"]["privileged"] is False


def test_the_labels_name_the_part_of_the_task_of_the_run_and_the_try() -> None:
    task = ContainerTask(task_id="train", image="tasks:1", command=[], host={})
    assert task.labels == {
        LABEL: "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}/{{ ti.map_index }}",
        RUN_LABEL: "{{ dag.dag_id }}/{{ run_id }}",
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
    engine, pushes = (
        FakeEngine(code, (json.dumps({"error": fields, "outputs": {"report": "runs/R/x.html"}}),)),
        Pushes(),
    )
    task = make(engine, monkeypatch)
    with pytest.raises(error, match="A_B_C: m"):
        task.execute({"ti": pushes})
    assert pushes.pushed["failure"]["exit_code"] == code
    assert task.report == "runs/R/x.html"
    assert engine.present == {}


def test_an_image_that_is_not_there_is_one_clear_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, pushes = FakeEngine(), Pushes()
    with pytest.raises(AirflowFailException, match="image tasks:2 is not on the engine"):
        run(engine, monkeypatch, pushes, image="tasks:2")
    assert "make images" in pushes.pushed["failure"]["text"]
    assert engine.created == {}


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (requests.exceptions.ConnectionError("the engine is away"), TaskRetryableError),
        (urllib3.exceptions.ProtocolError("the engine went away"), TaskRetryableError),
        (refused(500), TaskRetryableError),
        (refused(400), AirflowFailException),
    ],
)
def test_an_engine_that_is_away_is_tried_again_and_one_that_refuses_is_not(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception, error: type[Exception]
) -> None:
    engine, pushes = FakeEngine(), Pushes()
    engine.on_wait = trouble
    with pytest.raises(error, match="the container engine failed the task"):
        run(engine, monkeypatch, pushes)
    assert "failure" in pushes.pushed
    assert engine.removed == ["new"]


def test_a_connection_that_breaks_while_the_log_is_shown_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by docker-py itself, from a real connection: as when the proxy before the engine starts anew."""
    engine, pushes = FakeEngine(), Pushes()
    with connection_that_breaks(struct.pack(">BxxxL", STDOUT, 100) + b"it begins\n") as connection:
        engine.stream = (data for _, data in frames_iter(connection, tty=False))
        with pytest.raises(TaskRetryableError, match=r"the container engine failed the task: .*reset by peer"):
            run(engine, monkeypatch, pushes)
    assert pushes.pushed["failure"]["exit_code"] == TRANSIENT
    assert engine.removed == ["new"]


def test_an_engine_that_was_never_there_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: ContainerTask) -> None:
        raise AirflowException("Failed to establish connection to any given Docker hosts.")

    task = make(None, monkeypatch)
    monkeypatch.setattr(ContainerTask, "cli", property(away))
    for attempt in (task.execute, task.tidy_up):
        with pytest.raises(TaskRetryableError, match="does not answer"):
            attempt({"ti": Pushes()})
