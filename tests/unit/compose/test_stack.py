"""What tells one stack from another, and what docker-compose.yaml is given."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compose.configuration import CONTAINER_ENVIRONMENT, OWN_TREE, lay_configuration
from compose.images import image, images_of
from compose.secrets_folder import make_secrets
from compose.stack import REPOSITORY, Ports, Stack, version
from core.errors import InputError, TransientError

PORTS = Ports(8080, 9464, 9090, 3000)


@pytest.mark.parametrize("name", ["", "a", "A-b", "-ab", "a_b", "a b", "a/../b", "a" * 43, "ab\n", "$(x)"])
def test_a_name_the_engine_would_not_take_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="COMPOSE_STACK_NAME"):
        Stack.named(name, tmp_path, PORTS, environment=None, scale=False, metrics=False, storage="local")


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{1,40}", fullmatch=True))
def test_each_name_has_a_folder_of_its_own(name: str) -> None:
    stack = Stack.named(name, Path("/home"), PORTS, environment=None, scale=False, metrics=False, storage="local")
    assert stack.home == Path("/home").resolve() / name


@pytest.mark.parametrize(
    ("scale", "metrics", "profiles", "executor"),
    [
        (False, False, "", "LocalExecutor"),
        (True, False, "scale", "CeleryExecutor"),
        (False, True, "metrics", "LocalExecutor"),
        (True, True, "scale,metrics", "CeleryExecutor"),
    ],
)
def test_profiles_are_joined(stack: Stack, scale: bool, metrics: bool, profiles: str, executor: str) -> None:
    given = replace(stack, scale=scale, metrics=metrics)
    variables = given.variables()
    assert (variables["COMPOSE_PROFILES"], variables["AIRFLOW_EXECUTOR"]) == (profiles, executor)
    assert ("prometheus" in images_of(given)) == metrics


def test_everything_is_served_on_this_machine_alone(stack: Stack) -> None:
    variables = stack.variables()
    bound = {name: value for name, value in variables.items() if name.endswith("_BIND")}
    assert bound == {
        "AIRFLOW_BIND": "127.0.0.1:1",
        "METRICS_BIND": "127.0.0.1:2",
        "PROMETHEUS_BIND": "127.0.0.1:3",
        "GRAFANA_BIND": "127.0.0.1:4",
    }
    assert variables["AIRFLOW_BASE_URL"] == stack.address == "http://127.0.0.1:1"


def test_every_variable_docker_compose_asks_for_is_given(stack: Stack) -> None:
    asked = re.findall(r"\$\{(\w+)[:}]", (REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8"))
    assert {name for name in asked if not stack.variables().get(name)} == set()


def test_no_engine_is_said_in_words(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compose.stack.SOCKET", "/no/such.sock")
    with pytest.raises(TransientError, match="COMPOSE_ENGINE_ABSENT"):
        stack.variables()


def test_tasks_run_in_the_image_that_is_built() -> None:
    named = (REPOSITORY / "configs" / "base" / "environment.yaml", CONTAINER_ENVIRONMENT)
    for path in named:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = {content[key]["value"]["image"] for key in ("docker", "kubernetes") if key in content}
        assert found == {image("tasks")}, path
    assert image("tasks") == f"ml-assets-core/tasks:{version()}"


def test_a_laptops_environment_becomes_that_of_containers_with_this_stacks_names(stack: Stack) -> None:
    lay_configuration(stack, OWN_TREE)
    laid = yaml.safe_load((stack.configuration / "envs" / "dev" / "environment.yaml").read_text(encoding="utf-8"))
    assert laid["runner"]["value"] == "docker"
    docker = laid["docker"]["value"]
    assert docker["network"] == "a-stack"
    assert set(docker["volumes"].values()) == {f"a-stack-{name}" for name in ("archive", "keys", "config", "secrets")}
    for part in ("base/universe.yaml", "envs/prod/environment.yaml"):
        assert (stack.configuration / part).read_bytes() == (OWN_TREE / part).read_bytes()


def test_an_environment_of_ones_own_is_kept_and_nothing_of_an_earlier_tree_stays(stack: Stack, tmp_path: Path) -> None:
    lay_configuration(stack, OWN_TREE)
    tree = tmp_path / "tree"
    for part in ("base", "envs/dev"):
        (tree / part).mkdir(parents=True)
    (tree / "envs" / "dev" / "environment.yaml").write_text("name: { value: dev }\n")
    lay_configuration(stack, tree)
    files = [str(path.relative_to(stack.configuration)) for path in stack.configuration.rglob("*") if path.is_file()]
    assert files == ["envs/dev/environment.yaml"]
    assert (stack.configuration / files[0]).read_text() == "name: { value: dev }\n"


def test_a_folder_that_is_no_tree_is_refused_and_the_old_one_stays(stack: Stack, tmp_path: Path) -> None:
    lay_configuration(stack, OWN_TREE)
    with pytest.raises(InputError, match="COMPOSE_CONFIG_ABSENT"):
        lay_configuration(stack, tmp_path / "nothing")
    assert (stack.configuration / "base").is_dir()


def test_a_stack_keeps_the_environment_it_was_made_with(tmp_path: Path) -> None:
    def named(environment: str | None) -> Stack:
        return Stack.named(
            "a-stack", tmp_path, PORTS, environment=environment, scale=False, metrics=False, storage="local"
        )

    assert named(None).environment == "dev"
    made = named("prod")
    made.keep_environment()
    assert named(None).environment == named("prod").environment == "prod"
    with pytest.raises(InputError, match="made as prod, not as dev"):
        named("dev")
    made.forget_environment()
    assert named("dev").environment == "dev"


def test_who_reads_settings_once_starts_anew_on_others_and_only_then(stack: Stack) -> None:
    def digest() -> str:
        return stack.variables()["SETTINGS_DIGEST"]

    make_secrets(stack.secrets)
    lay_configuration(stack, OWN_TREE)
    before = digest()
    lay_configuration(stack, OWN_TREE)
    (stack.secrets / "airflow_viewer").write_text("another password")
    assert digest() == before
    (stack.secrets / "slack_webhook_url").write_text("https://slack.test/hook")
    told = digest()
    assert told != before
    policy = stack.configuration / "base" / "slack_policy.yaml"
    policy.write_text(policy.read_text(encoding="utf-8") + "# changed\n")
    assert digest() not in {before, told}


def test_the_configuration_can_be_read_whatever_the_umask(stack: Stack, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(OWN_TREE, tmp_path / "tree"))
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    lay_configuration(stack, tree)
    for path in (stack.configuration, *stack.configuration.rglob("*")):
        wanted = 0o755 if path.is_dir() else 0o644
        assert path.stat().st_mode & wanted == wanted, path
