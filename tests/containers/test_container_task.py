"""A flow's task as Airflow's worker runs it, on a real engine, without a stack around it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from docker.types import Mount

from compose.images import image
from compose.stack import SOCKET
from dags.factory.container_task import LABEL, RUN_LABEL, TRY_LABEL, ContainerTask, ending_run
from tests.containers.running_stack import engine
from tests.unit.dags.test_process_task import Pushes

RESULT = {"task": "train", "outputs": {"report": "runs/R/x.html"}}


@pytest.fixture
def network() -> Iterator[str]:
    """The network of a stack nobody else has."""
    name = f"ml-assets-core-{uuid.uuid4().hex[:8]}"
    engine("network", "create", "--internal", name)
    try:
        yield name
    finally:
        for container in present(name):
            engine("rm", "--force", "--volumes", container)
        engine("network", "rm", name)


def present(network: str) -> list[str]:
    return engine("ps", "--all", "--quiet", "--no-trunc", "--filter", f"network={network}").split()


def task(network: str, shell: str, *, name: str = "train", attempt: int = 1, tasks: str | None = None) -> ContainerTask:
    made = ContainerTask(
        task_id=name,
        image=tasks or image("tasks"),
        command=["sh", "-c", shell],
        host={"read_only": True, "tmpfs": {"/tmp": "mode=1777"}},  # noqa: S108 - the container's own
        mounts=[Mount(target="/srv/archive", source=None, type="volume")],
        network_mode=network,
        user="10001:10001",
        docker_url=f"unix://{SOCKET}",
    )
    made.labels = {LABEL: f"flow/run/{name}/-1", RUN_LABEL: "flow/run", TRY_LABEL: str(attempt)}
    return made


def leave_behind(of: ContainerTask, network: str) -> tuple[str, str]:
    """A container of that task whose worker was killed, which runs on, and its volume."""
    labels = [word for name, value in of.labels.items() for word in ("--label", f"{name}={value}")]
    words = ["--volume", "/srv/archive", "--entrypoint", "sleep", image("tasks"), "600"]
    container = engine("run", "--detach", "--init", "--network", network, *labels, *words)
    return container, engine("inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", container)


def volumes() -> list[str]:
    return engine("volume", "ls", "--quiet").split()


@pytest.mark.parametrize("code", [0, 10])
def test_what_comes_on_the_other_stream_after_the_result_does_not_hide_it(network: str, code: int) -> None:
    shell = f"echo begins >&2; echo '{json.dumps(RESULT)}'; echo late >&2; exit {code}"
    for _ in range(3):
        ran = task(network, shell)
        if code == 0:
            assert ran.execute({"ti": Pushes()}) == RESULT
        else:
            with pytest.raises(AirflowFailException, match="exited with 10"):
                ran.execute({"ti": Pushes()})
        assert ran.report == "runs/R/x.html"
    assert present(network) == []


def test_a_try_removes_what_the_one_before_left_and_spares_the_next_one(network: str) -> None:
    _, old_volume = leave_behind(task(network, ""), network)
    assert task(network, f"echo '{json.dumps(RESULT)}'", attempt=2).execute({"ti": Pushes()}) == RESULT
    assert present(network) == []
    assert old_volume not in volumes()
    given_up = task(network, "")
    following, _ = leave_behind(task(network, "", attempt=2), network)
    assert given_up.hook.api_client.ping()
    given_up.on_kill()
    assert present(network) == [following]


def test_the_end_of_a_run_removes_what_its_tasks_left_and_nothing_else(network: str) -> None:
    _, volume = leave_behind(task(network, "", name="ingest"), network)
    other = task(network, "", name="ingest")
    other.labels[RUN_LABEL] = "flow/run-2"
    spared, _ = leave_behind(other, network)
    record = task(network, "", name="record-run")

    def nothing_to_record(context: Context) -> None:
        raise AirflowSkipException("nothing to record")

    with pytest.raises(AirflowSkipException):
        ending_run(nothing_to_record)({"task": record, "ti": Pushes()})
    assert present(network) == [spared]
    assert volume not in volumes()


def test_an_image_nobody_has_is_a_failure_that_says_what_to_do(network: str) -> None:
    with pytest.raises(AirflowFailException, match=r"is not on the engine.*make images"):
        task(network, "", tasks="ml-assets-core/tasks:no-such-tag").execute({"ti": Pushes()})
