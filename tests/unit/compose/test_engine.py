"""The engine's commands are called and read, and their failures are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compose.engine import (
    Service,
    compose,
    docker,
    has_image,
    remove_task_containers,
    require_engine,
    services,
)
from compose.images import outdated_images
from compose.stack import REPOSITORY, Stack
from core.errors import InputError, TransientError
from tests.unit.compose.conftest import CODE
from tests.unit.compose.stand_ins import Engine, container


def test_services_are_read_by_name(engine: Engine) -> None:
    engine.holds(
        container("redis", health="starting"),
        container("postgres", health="healthy"),
        container("prepare", "exited", code=0),
        container("airflow-prepare", "exited", code=3),
        container("watch"),
    )
    found = services("a-stack")
    assert found == [
        Service("airflow-prepare", "id-airflow-prepare", "exited", "", 3),
        Service("postgres", "id-postgres", "running", "healthy", 0),
        Service("prepare", "id-prepare", "exited", "", 0),
        Service("redis", "id-redis", "running", "starting", 0),
        Service("watch", "id-watch", "running", "", 0),
    ]
    assert [service.ready for service in found] == [False, True, True, False, True]
    assert "label=com.docker.compose.project=a-stack" in engine.calls[0]


@pytest.mark.parametrize("state", ["created", "restarting", "paused", "dead", "removing"])
def test_what_does_not_run_is_not_ready(state: str) -> None:
    assert not Service("postgres", "id-postgres", state, "healthy", 0).ready


def test_a_stack_without_containers_is_not_inspected(engine: Engine) -> None:
    assert services("a-stack") == []
    assert len(engine.calls) == 1


def test_only_task_containers_of_this_stacks_network_are_removed(engine: Engine) -> None:
    start = "docker ps --all --quiet --filter label=ml-assets-core.task --filter network=a-stack"
    engine.says(start, "one\ntwo\n")
    assert remove_task_containers("a-stack") == 2
    assert engine.calls[-1] == "docker rm --force --volumes one two"
    assert remove_task_containers("another") == 0
    assert sum("rm --force" in call for call in engine.calls) == 1


def test_outdated_images_are_absent_or_of_other_code(engine: Engine, stack: Stack) -> None:
    of_this_code = f"docker images --quiet --filter label=org.opencontainers.image.revision={CODE}"
    engine.says(f"{of_this_code} ml-assets-core/airflow", "4f57fea55a8e\n")
    engine.says("docker images --quiet ml-assets-core/tasks", "0d2f57fea55a\n")
    assert has_image("ml-assets-core/tasks:0.1.0")
    assert outdated_images(stack) == ["tasks", "engine-proxy"]


def test_a_failing_command_is_told_in_its_own_words(engine: Engine) -> None:
    engine.says("docker inspect", error="Error: No such object: x\n", code=1)
    with pytest.raises(TransientError, match="No such object: x") as failed:
        docker("inspect", "x")
    assert failed.value.where == "docker inspect x"


def test_the_plugin_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tmp_path / "v2", "docker", "docker-compose")
    monkeypatch.setenv("PATH", str(engine.folder))
    compose(["up", "--detach"], {"PATH": str(engine.folder)})
    assert engine.calls[-1] == f"docker compose --file {REPOSITORY / 'docker-compose.yaml'} up --detach"


def test_else_the_program_of_its_own_is_taken(engine: Engine) -> None:
    compose(["up"], {"PATH": str(engine.folder)})
    assert engine.calls[-1] == f"docker-compose --file {REPOSITORY / 'docker-compose.yaml'} up"


def test_neither_is_an_error_that_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tmp_path / "none", "docker").says("docker compose version", code=1)
    monkeypatch.setenv("PATH", str(engine.folder))
    with pytest.raises(InputError, match=r"COMPOSE_COMMAND_ABSENT.*docker-compose 1\.29"):
        compose(["up"], {})


def test_no_docker_and_no_engine_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="docker is not installed"):
        require_engine()
    engine = Engine(tmp_path / "silent", "docker").says("docker version", error="Cannot connect\n", code=1)
    monkeypatch.setenv("PATH", str(engine.folder))
    with pytest.raises(TransientError, match="Cannot connect"):
        require_engine()


def test_the_stand_in_records_what_it_was_called_with(engine: Engine) -> None:
    engine.says("docker info", json.dumps({"a": 1}))
    assert json.loads(docker("info", "--format", "json")) == {"a": 1}
    assert engine.calls == ["docker info --format json"]
