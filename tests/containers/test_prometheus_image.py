"""The Prometheus of the profile `metrics`, on its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compose.images import METRICS_IMAGES, build, image
from compose.stack import REPOSITORY, version
from core.stores.code_version import code_hash
from tests.containers.running_stack import engine, until

READ = (
    "import sys, urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9090' + sys.argv[1]).read().decode())"
)
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108


@pytest.fixture(scope="module")
def built() -> str:
    build(list(METRICS_IMAGES), print)
    return image("prometheus")


@pytest.fixture(scope="module")
def read(built: str) -> Iterator[Callable[[str], str]]:
    """What it answers to a path, once it is healthy."""
    container = engine("run", "--detach", *HARDENED, "--memory", "512m", "--volume", "/srv/prometheus", built)
    try:
        health = "{{.State.Health.Status}}"
        until("its health", lambda: engine("inspect", "--format", health, container) == "healthy", 60)
        yield lambda path: engine("exec", container, "python3", "-c", READ, path)
    finally:
        engine("rm", "--force", "--volumes", container)


def test_it_says_which_code_it_is_and_runs_as_an_ordinary_user(built: str) -> None:
    config = json.loads(engine("inspect", built))[0]["Config"]
    assert config["Labels"]["org.opencontainers.image.revision"] == code_hash(REPOSITORY)
    assert config["Labels"]["org.opencontainers.image.version"] == version()
    assert engine("run", "--rm", "--entrypoint", "id", built, "-u") == "10001"


def test_it_holds_every_rule_and_keeps_over_a_year(read: Callable[[str], str]) -> None:
    written = set(re.findall(r"alert: (\w+)", _files("rules")))
    assert {rule["name"] for group in _api(read, "rules")["groups"] for rule in group["rules"]} == written
    assert _api(read, "status/flags")["storage.tsdb.retention.time"] == "400d"
    assert [each["scrapeUrl"] for each in _api(read, "targets")["activeTargets"]] == ["http://watch:9464/metrics"]


def test_its_pages_need_nothing_that_was_left_out(read: Callable[[str], str]) -> None:
    page = read("/classic/alerts")
    assert "CoreRetrainStale" in page
    files = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))', page)
    assert len(files) > 5
    for each in files:
        assert read(each), each


def _api(read: Callable[[str], str], path: str) -> Any:
    return json.loads(read(f"/api/v1/{path}"))["data"]


def _files(folder: str) -> str:
    paths = sorted((REPOSITORY / "observability" / "prometheus" / folder).glob("*.yml"))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)
