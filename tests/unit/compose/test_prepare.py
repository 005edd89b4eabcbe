"""How the volumes of the tasks are filled while a task may be reading them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compose.stack import REPOSITORY

SCRIPT = (REPOSITORY / "images" / "tasks" / "prepare.sh").read_text(encoding="utf-8")


def lay(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    function = SCRIPT[SCRIPT.index("lay() {") : SCRIPT.index("\n}\n") + 3]
    words = ["sh", "-euc", f'{function}lay "$1" "$2"', "sh", str(source), str(target)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def read(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_changed_is_replaced_whole_and_the_rest_is_not_touched(tmp_path: Path) -> None:
    source = write(tmp_path / "from", {"base/a": "1", "base/b": "2", "empty": ""})
    target = write(tmp_path / "to", {"base/a": "1", "base/b": "old", "envs/gone": "3", "empty": "once a secret"})
    before = {name: (target / name).stat().st_ino for name in ("base/a", "base/b")}
    with (target / "base" / "b").open() as reader:
        assert lay(source, target).returncode == 0
        assert reader.read() == "old", "a file was written over under its reader"
    assert read(target) == {"base/a": "1", "base/b": "2"}
    assert (target / "base" / "a").stat().st_ino == before["base/a"]
    assert (target / "base" / "b").stat().st_ino != before["base/b"]


@pytest.mark.parametrize("source", ["absent", "empty"])
def test_nothing_to_read_empties_nothing(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    target = write(tmp_path / "to", {"a": "1"})
    assert lay(tmp_path / source, target).returncode != 0
    assert read(target) == {"a": "1"}
