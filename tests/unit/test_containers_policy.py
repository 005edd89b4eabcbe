"""What docker-compose.yaml and the Dockerfiles promise: no service has a right or a reach it does not need."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from compose.images import DOCKERFILES
from compose.secrets_folder import make_secrets
from compose.stack import REPOSITORY

SOURCE = (REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8")
NON_ROOT = {"10001:10001", "postgres", "redis", "472:0"}
SECRET_WORDS = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|FERNET|INTEGRATION_KEY|WEBHOOK|_URL$|_CONN|BROKER|BACKEND$")
WITHOUT_SECRET = {
    "API_SERVER_URL",
    "S3_ENDPOINT_URL",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__API__BASE_URL",
    "SECRETS_FOLDER",
    "STORAGE_BACKEND",
    "AIRFLOW__CORE__HIDE_SENSITIVE_VAR_CONN_FIELDS",
    "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS",
}
Compose = dict[str, Any]


def substituted(source: str) -> Compose:
    """The file as Compose reads it, each variable in the place of its own name."""
    content: Compose = yaml.safe_load(re.sub(r"\$\{(\w+)[^}]*\}", r"<\1>", source))
    return content


COMPOSE = substituted(SOURCE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def faults(name: str, service: dict[str, Any]) -> list[str]:
    """What a service has, or lacks, that no service may."""
    one_shot = service["restart"] == "no"
    wrong = {
        "not read-only": service.get("read_only") is not True,
        "capabilities": service.get("cap_drop") != ["ALL"] or "cap_add" in service,
        "new privileges": "no-new-privileges:true" not in service.get("security_opt", []),
        "privileged": bool(service.get("privileged")),
        "root": (service.get("user") not in NON_ROOT and name != "engine-proxy") or not service.get("user"),
        "no limit of memory": not service.get("mem_limit"),
        "no limit of processes or cores": not one_shot and not (service.get("pids_limit") and service.get("cpus")),
        "restart": service["restart"] not in {"unless-stopped", "no"},
        "unlimited log": "max-size" not in service.get("logging", {}).get("options", {}),
        "no init": service.get("init") is not True,
        "of the host": any(key in service for key in ("pid", "ipc", "network_mode", "devices", "userns_mode")),
        "image without a version": re.search(r":(latest)?$|^[^:]+$", service["image"]) is not None,
        "no health check": not one_shot and not healthy(service),
        "open to other machines": any(not re.match(r"<\w+_BIND>:\d+$", port) for port in service.get("ports", [])),
        "writes to a folder of the host": any(writable(volume) for volume in service.get("volumes", []))
        and name != "engine-proxy",
    }
    return [what for what, is_so in wrong.items() if is_so]


def healthy(service: dict[str, Any]) -> bool:
    """Whether the file or the image of ours says how the service is found well."""
    own = re.match(r"ml-assets-core/([\w-]+):", service["image"])
    in_image = own is not None and "HEALTHCHECK" in dockerfile(own[1])
    return bool(service.get("healthcheck", {}).get("test")) or in_image


def writable(volume: str) -> bool:
    """Whether the mount is a folder or file of the host that can be written."""
    return volume.startswith((".", "/", "~", "<")) and not volume.endswith(":ro")


def dockerfile(image: str) -> str:
    return (REPOSITORY / DOCKERFILES[image]).read_text(encoding="utf-8")


def mounts_socket(service: dict[str, Any]) -> bool:
    return any("ENGINE_SOCKET" in volume or "docker.sock" in volume for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_right_it_does_not_need_and_no_end_it_does_not_know(name: str) -> None:
    assert faults(name, SERVICES[name]) == []


BREAKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "not read-only": lambda service: service.update(read_only=False),
    "capabilities": lambda service: service.update(cap_add=["SYS_ADMIN"]),
    "new privileges": lambda service: service.update(security_opt=[]),
    "privileged": lambda service: service.update(privileged=True),
    "root": lambda service: service.pop("user"),
    "no limit of memory": lambda service: service.pop("mem_limit"),
    "no limit of processes or cores": lambda service: service.pop("pids_limit"),
    "restart": lambda service: service.update(restart="always"),
    "unlimited log": lambda service: service.update(logging={"driver": "json-file"}),
    "no init": lambda service: service.update(init=False),
    "of the host": lambda service: service.update(pid="host"),
    "image without a version": lambda service: service.update(image="ml-assets-core/airflow:latest"),
    "no health check": lambda service: service.update(image="other:1", healthcheck={"disable": True}),
    "open to other machines": lambda service: service.update(ports=["8080:8080"]),
    "writes to a folder of the host": lambda service: service.update(volumes=["/:/host"]),
}


@pytest.mark.parametrize("fault", BREAKS)
def test_the_check_sees_each_fault(fault: str) -> None:
    service = copy.deepcopy(SERVICES["scheduler"])
    BREAKS[fault](service)
    assert faults("scheduler", service) == [fault]


def test_only_one_service_has_the_engines_socket_and_only_who_starts_tasks_reaches_it() -> None:
    assert [name for name, service in SERVICES.items() if mounts_socket(service)] == ["engine-proxy"]
    reaches = {name for name, service in SERVICES.items() if "engine" in service.get("networks", [])}
    assert reaches == {"engine-proxy", "scheduler", "worker-1", "worker-2"}
    assert SERVICES["engine-proxy"]["networks"] == ["engine"]
    assert COMPOSE["networks"]["engine"]["internal"] is True


def test_who_shows_metrics_reaches_the_watcher_and_no_store() -> None:
    on_it = {name for name, service in SERVICES.items() if "metrics" in service["networks"]}
    assert on_it == {"watch", "prometheus", "grafana"}
    for name in ("prometheus", "grafana"):
        assert SERVICES[name]["networks"] == ["metrics"]
        assert SERVICES[name]["profiles"] == ["metrics"]


def test_every_secret_is_a_file_that_is_made_and_used(tmp_path: Any) -> None:
    make_secrets(tmp_path / "secrets")
    secrets = COMPOSE["secrets"]
    assert {name: {"file": f"<SECRETS_SOURCE>/{name}"} for name in secrets} == secrets
    assert {name for name in secrets if not (tmp_path / "secrets" / name).is_file()} == set()
    assert {name for service in SERVICES.values() for name in service.get("secrets", [])} == set(secrets)


def test_only_who_starts_tasks_or_tells_people_sees_the_secrets_of_tasks() -> None:
    sees = {
        name for name, service in SERVICES.items() if any("secrets:/srv" in each for each in service.get("volumes", []))
    }
    assert sees == {"prepare", "watch", "scheduler", "dag-processor", "worker-1", "worker-2"}


def test_no_variable_of_a_service_is_a_secret() -> None:
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            if SECRET_WORDS.search(variable) and variable not in WITHOUT_SECRET:
                path = str(value).removeprefix("cat ")
                assert variable.endswith(("_FILE", "_CMD")), (name, variable)
                assert path.startswith(("/run/secrets/", "/srv/secrets/")), (name, variable, value)


def test_no_variable_of_the_file_has_a_default() -> None:
    assert re.findall(r"\$\{\w+:?[-+][^}]*\}|\$\w+", SOURCE.replace("$$", "")) == []
    first: dict[str, str] = {}
    for variable, required in re.findall(r"\$\{(\w+)(:?\?)?", SOURCE):
        first.setdefault(variable, required)
    assert [variable for variable, required in first.items() if not required] == []


def test_the_page_names_every_service_its_image_and_its_limits() -> None:
    page = (REPOSITORY / "docs" / "containers.md").read_text(encoding="utf-8")
    rows = [
        line.split(" | ") for line in page.split("## What runs")[1].split("## Users")[0].splitlines() if "`" in line
    ]
    described = {name: row for row in rows if len(row) == 5 for name in re.findall(r"`([\w-]+)`", row[0])}
    assert set(described) == set(SERVICES)
    for name, service in SERVICES.items():
        _, image, user, _, limits = described[name]
        size = re.sub(r"(\d+)([gm])", lambda found: f"{found[1]} {found[2].upper()}B", service["mem_limit"])
        asked = [size, *(str(service[key]) for key in ("cpus", "pids_limit") if key in service)]
        assert limits.rstrip(" |") == ", ".join(asked), name
        assert service["image"].startswith((image, f"ml-assets-core/{image}:")), name
        assert service["user"].split(":")[0] == user, name


@pytest.mark.parametrize("image", DOCKERFILES)
def test_an_image_is_built_from_what_is_pinned_and_says_what_it_is(image: str) -> None:
    text = dockerfile(image)
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)
    assert re.search(r"^# Pinned \d{4}-\d{2}-\d{2}: ", text, re.MULTILINE)
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11-\S+$", stages[0], re.MULTILINE)
    names = {match for stage in stages[1:] for match in re.findall(r"^\S+ AS (\S+)$", stage.splitlines()[0])}
    assert {stage.split()[0] for stage in stages[1:]} <= {"${PYTHON_IMAGE}", *names}
    last = stages[-1]
    if last.strip() == "shipped":  # named, so that the tests can be built upon it
        (last,) = [stage for stage in stages if stage.splitlines()[0].endswith(" AS shipped")]
    for label in ('version="${VERSION}"', 'revision="${REVISION}"', 'title="ml-assets-core '):
        assert f"org.opencontainers.image.{label}" in last
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["core"]
    assert "--uid 10001" in text
    assert "HEALTHCHECK" in last
    assert re.search(r"^ADD |latest|curl |wget |https?://(?!127\.0\.0\.1)", text, re.MULTILINE) is None


@pytest.mark.parametrize("image", DOCKERFILES)
def test_nothing_is_installed_that_is_not_named_by_its_hash(image: str) -> None:
    commands = re.sub(r"\\\n", " ", dockerfile(image))
    installs = re.findall(r"pip install [^&\n]*", commands)
    assert all("--require-hashes" in install for install in installs)
    bootstrap = (REPOSITORY / "requirements" / "bootstrap.txt").read_text(encoding="utf-8")
    version = re.search(r"^uv==(\S+)", bootstrap, re.MULTILINE)
    assert version is not None
    if installs:
        assert f"\nARG UV_VERSION={version[1]}\n" in dockerfile(image)
    apt = re.findall(r"apt-get install [^&\n]*", commands)
    assert all("--no-install-recommends" in install for install in apt)
