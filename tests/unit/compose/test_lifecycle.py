"""Up waits for what is not ready and names what failed; down takes tasks with it, and a dry one touches nothing."""

from __future__ import annotations

import pytest
import yaml

from compose.configuration import OWN_TREE
from compose.lifecycle import VOLUMES, bring_down, bring_up, describe
from compose.secrets_folder import make_secrets
from compose.stack import REPOSITORY, Stack
from core.errors import InputError, TransientError
from tests.unit.compose.conftest import at_port
from tests.unit.compose.stand_ins import AirflowServer, Engine, Flow, container

FLOWS = ("core_retrain_flow", "core_backtest_flow", "core_theta_opt_flow", "core_publish_flow")


@pytest.fixture(autouse=True)
def _images(engine: Engine) -> None:
    engine.says("docker images --quiet", "an-image\n")


def test_up_ends_when_all_is_ready_and_the_flows_are_read(engine: Engine, stack: Stack) -> None:
    make_secrets(stack.secrets)
    engine.holds(container("postgres", health="healthy"), container("prepare", "exited"))
    said: list[str] = []
    password = (stack.secrets / "airflow_admin").read_text(encoding="utf-8")
    with AirflowServer(password, {name: Flow() for name in FLOWS}) as airflow:
        bring_up(at_port(stack, airflow.port), OWN_TREE, said.append)
        assert "  postgres is ready" in said
        assert f"Airflow: http://127.0.0.1:{airflow.port}   users admin, operator, approver, viewer" in said
    assert not any("build" in call for call in engine.calls)
    assert "up --detach --remove-orphans" in engine.calls[-3]
    secrets = [path.read_text(encoding="utf-8") for path in stack.secrets.iterdir() if path.stat().st_size]
    assert not [secret for secret in secrets if secret in "\n".join([*said, *engine.calls])]


@pytest.mark.parametrize(("state", "compose_code"), [("exited", 0), ("restarting", 0), ("exited", 1)])
def test_a_service_that_failed_is_named_with_the_end_of_its_log(
    engine: Engine, stack: Stack, state: str, compose_code: int
) -> None:
    engine.holds(container("postgres", health="healthy"), container("airflow-prepare", state, code=3))
    engine.says("docker-compose", code=compose_code)
    engine.says("docker logs --tail 15 id-airflow-prepare", "holds no password\n", error="a trace\n")
    with pytest.raises(TransientError, match=r"airflow-prepare ended with 3\nholds no password\na trace") as failed:
        bring_up(stack, OWN_TREE, lambda _: None)
    assert "`make logs SERVICE=airflow-prepare`" in failed.value.remedy


def test_a_compose_that_failed_by_itself_is_told_in_its_own_words(engine: Engine, stack: Stack) -> None:
    engine.holds(container("postgres", health="healthy")).says("docker-compose", code=14)
    with pytest.raises(TransientError, match="it exited with 14"):
        bring_up(stack, OWN_TREE, lambda _: None)


def test_a_service_that_does_not_become_healthy_is_named(
    engine: Engine, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compose.lifecycle.START_SECONDS", -1.0)
    engine.holds(container("postgres", health="healthy"), container("redis", health="unhealthy"))
    with pytest.raises(TransientError, match=r"not ready after .*: redis") as failed:
        bring_up(stack, OWN_TREE, lambda _: None)
    assert "SERVICE=redis" in failed.value.remedy


def test_flows_that_are_not_read_are_waited_for(engine: Engine, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compose.lifecycle.START_SECONDS", -1.0)
    make_secrets(stack.secrets)
    engine.holds(container("postgres", health="healthy"))
    password = (stack.secrets / "airflow_admin").read_text(encoding="utf-8")
    flows = {name: Flow() for name in FLOWS[1:]}
    with AirflowServer(password, flows) as airflow, pytest.raises(TransientError, match="the flows to be read"):
        bring_up(at_port(stack, airflow.port), OWN_TREE, lambda _: None)


def test_a_short_secret_starts_nothing(engine: Engine, stack: Stack) -> None:
    make_secrets(stack.secrets)
    (stack.secrets / "postgres_core").write_text("postgres")
    with pytest.raises(InputError, match="COMPOSE_SECRET_SHORT"):
        bring_up(stack, OWN_TREE, lambda _: None)
    assert engine.calls == []


def test_down_stops_who_starts_tasks_before_it_removes_tasks(engine: Engine, stack: Stack) -> None:
    engine.says("docker ps --all --quiet --filter label=ml-assets-core.task", "a-task\n")
    said: list[str] = []
    bring_down(stack, said.append, delete=False, dry_run=False)
    done = [call.split(".yaml ")[-1] for call in engine.calls if call.startswith(("docker-compose", "docker rm"))]
    profiles = "--profile scale --profile metrics"
    assert done == [
        f"{profiles} stop --timeout 30",
        "docker rm --force --volumes a-task",
        f"{profiles} down --remove-orphans",
    ]
    assert said == ["Stopped a-stack; 1 task containers removed; data kept."]


def test_only_delete_deletes_volumes(engine: Engine, stack: Stack) -> None:
    bring_down(stack, lambda _: None, delete=True, dry_run=False)
    assert engine.calls[-1].endswith("down --remove-orphans --volumes")


def test_a_dry_down_names_this_stacks_own_and_touches_nothing(engine: Engine, stack: Stack) -> None:
    engine.holds(container("redis"), container("postgres"))
    engine.says("docker volume ls", "a-stack-postgres\na-stack-archive\na-stack-demo-archive\nan-a-stack-redis\n")
    said: list[str] = []
    bring_down(stack, said.append, delete=True, dry_run=True)
    assert said == ["would stop postgres, redis", "would delete a-stack-archive, a-stack-postgres"]
    assert all(call.startswith(("docker ps", "docker inspect", "docker volume ls")) for call in engine.calls)
    assert not stack.home.exists()


def test_a_dry_down_without_delete_deletes_nothing(engine: Engine, stack: Stack) -> None:
    engine.says("docker volume ls", "a-stack-postgres\n")
    said: list[str] = []
    bring_down(stack, said.append, delete=False, dry_run=True)
    assert said == ["would stop nothing", "would delete nothing"]


def test_status_says_how_each_service_is(engine: Engine, stack: Stack) -> None:
    said: list[str] = []
    describe(stack, said.append)
    engine.holds(container("prepare", "exited", code=3), container("postgres", health="healthy"))
    describe(stack, said.append)
    assert [line.split() for line in said] == [
        ["Nothing", "of", "a-stack", "runs."],
        ["postgres", "running", "healthy"],
        ["prepare", "exited", "(3)"],
    ]


def test_volumes_are_those_of_the_file() -> None:
    volumes = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8"))["volumes"]
    assert {each["name"] for each in volumes.values()} == {f"${{STACK_NAME}}-{name}" for name in VOLUMES}
