"""Which images are built, of which code, and with what."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compose.images import build
from compose.revision import revision
from tests.unit.compose.conftest import CODE
from tests.unit.compose.stand_ins import Engine


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=ann", "-c", "user.email=ann@ml-assets-core.invalid"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A commit of a core, a flow and a page."""
    folder = tmp_path / "tree"
    for name in ("core/one.py", "dags/flow.py", "docs/page.md"):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    git(tmp_path, "init", "--quiet", str(folder))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_a_revision_is_the_commit_until_what_images_are_made_of_changes(tree: Path) -> None:
    commit = revision(tree)
    assert len(commit) == 40
    (tree / "docs" / "page.md").write_text("no image holds it")
    assert revision(tree) == commit
    (tree / "dags" / "flow.py").write_text("changed")
    changed = revision(tree)
    assert changed.startswith(f"{commit}+")
    (tree / "images").mkdir()
    (tree / "images" / "Dockerfile").write_text("new")
    assert revision(tree) not in {commit, changed}
    (tree / "dags" / "flow.py").unlink()
    assert revision(tree) != changed


@pytest.mark.parametrize("mirror", [None, "mirror.test/python@sha256:0a"])
def test_an_image_is_built_with_buildkit_of_the_base_that_is_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, mirror: str | None
) -> None:
    if mirror:
        monkeypatch.setenv("PYTHON_IMAGE", mirror)
    engine.says("docker image inspect", "327000000\n")
    said: list[str] = []
    build(["engine-proxy"], said.append)
    (call,) = [call for call in engine.calls if call.startswith("docker build")]
    assert f"--build-arg REVISION={CODE}" in call
    assert (f"--build-arg PYTHON_IMAGE={mirror}" in call) == (mirror is not None)
    assert engine.environment(call)["DOCKER_BUILDKIT"] == "1"
    assert said[-1].startswith("ml-assets-core/engine-proxy:0.1.0: 327 MB")
