"""The images as they ship: what is in them, what is not, and the tests of the tasks inside one."""

from __future__ import annotations

import json
import subprocess

import pytest

from compose.images import IMAGES, build, image
from compose.revision import revision
from compose.stack import REPOSITORY, version
from tests.containers.running_stack import engine

OWN = [image(name) for name in IMAGES]
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108
PYTHON_IMAGES = [image("tasks"), image("airflow")]


def run(name: str, *words: str) -> str:
    return engine("run", "--rm", *HARDENED, "--entrypoint", words[0], name, *words[1:])


@pytest.mark.parametrize("name", OWN)
def test_every_image_says_which_code_it_is_and_whether_it_is_well(name: str) -> None:
    config = json.loads(engine("inspect", name))[0]["Config"]
    assert config["Labels"]["org.opencontainers.image.revision"] == revision()
    assert config["Labels"]["org.opencontainers.image.version"] == version()
    assert config["User"] in {"core", "10001:10001"}
    assert config["Healthcheck"]["Test"]


@pytest.mark.parametrize("name", OWN)
def test_no_image_holds_a_compiler_or_a_package_cache(name: str) -> None:
    assert run(name, "id", "-u") == "10001"
    found = run(name, "sh", "-c", "command -v gcc cc g++ clang make uv || true")
    assert found == ""
    caches = "ls -A /root/.cache /var/cache/apt/archives/*.deb /var/lib/apt/lists/*_Packages 2>/dev/null || true"
    assert engine("run", "--rm", "--user", "0:0", "--entrypoint", "sh", name, "-c", caches) == ""


@pytest.mark.parametrize("name", PYTHON_IMAGES)
def test_an_image_holds_its_own_requirements_and_no_other(name: str) -> None:
    group = name.removeprefix("ml-assets-core/").split(":")[0]
    lines = (REPOSITORY / "requirements" / f"{group}.txt").read_text(encoding="utf-8").splitlines()
    pinned = {_normal(line.split("==")[0]) for line in lines if "==" in line and not line.startswith((" ", "#"))}
    program = "import importlib.metadata as m; print(*(d.metadata['Name'] for d in m.distributions()))"
    installed = {_normal(each) for each in run(name, "/opt/venv/bin/python", "-c", program).split()}
    assert installed <= pinned


def test_kernels_come_compiled() -> None:
    listed = run(image("tasks"), "sh", "-c", "find /opt/ml-assets-core/kernels -name '*.nbc' | wc -l")
    assert int(listed) > 20


def test_the_tests_of_the_tasks_pass_in_the_image_that_ships() -> None:
    """On a read-only root file system, as the tasks' user; what only the tests need comes after what ships."""
    tag = f"ml-assets-core/tasks-tests:{version()}"
    build(["tasks"], print, target="tests", tag=tag)
    words = ["--rm", "--init", "--user", "10001:10001", "--read-only", "--tmpfs", "/tmp:exec", tag]  # noqa: S108
    done = subprocess.run(["docker", "run", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")
