"""`python -m compose` from a shell, with an engine that only says what it is told."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from compose.stack import REPOSITORY
from tests.unit.compose.stand_ins import Engine


def run(*words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(path)} if path else None
    command = [sys.executable, "-m", "compose", *words]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_help_has_examples() -> None:
    shown = run("--help").stdout
    assert "examples:" in shown
    for action in ("up", "trigger", "down"):
        assert f"python -m compose {action} " in shown


def test_a_dry_down_calls_for_nothing_and_writes_nothing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bin", "docker", "docker-compose").says("docker volume ls", "a-stack-archive\n")
    words = ("--stack", "a-stack", "--home", str(tmp_path / "home"), "--delete", "--dry-run")
    done = run("down", *words, path=engine.folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "would stop nothing\nwould delete a-stack-archive\n"
    assert [call.split()[1] for call in engine.calls] == ["version", "volume", "ps"]
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("up", "--stack", "A_B"), 20, "COMPOSE_STACK_NAME"),
        (("trigger", "--conf", "{no json"), 2, "--conf"),
        (("dance",), 2, "invalid choice"),
        (("images", "--only", "postgres"), 2, "invalid choice"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, ...], code: int, said: str) -> None:
    done = run(*words)
    assert done.returncode == code
    assert said in done.stderr


def test_make_passes_its_settings_on(tmp_path: Path) -> None:
    settings = ["STACK=a-stack", "METRICS=1", "SCALE=0", "PROMETHEUS_PORT=9091", "GRAFANA_PORT=3001", "PORT=8081"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "up", *settings], cwd=REPOSITORY, env=kept, capture_output=True, text=True, check=True
    )
    words = shlex.split(done.stdout.split("-m compose", 1)[1])
    assert words[:3] == ["up", "--stack", "a-stack"]
    assert "--metrics" in words
    assert "--scale" not in words
    for option, value in (("--prometheus-port", "9091"), ("--grafana-port", "3001"), ("--port", "8081")):
        assert words[words.index(option) + 1] == value
