"""A stack in a temporary folder, and an engine that only says what a test tells it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compose.stack import Ports, Stack
from tests.unit.compose.stand_ins import Engine

CODE = "0" * 40


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    socket = tmp_path / "docker.sock"
    socket.touch()
    monkeypatch.setattr("compose.stack.SOCKET", str(socket))
    return Stack.named(
        "a-stack", tmp_path / "home", Ports(1, 2, 3, 4), environment=None, scale=False, metrics=False, storage="local"
    )


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Its `docker` has no Compose plugin, its `docker-compose` does whatever it is told."""
    made = Engine(tmp_path / "bin", "docker", "docker-compose").says("docker compose version", code=1)
    monkeypatch.setattr("compose.images.code_hash", lambda _: CODE)
    monkeypatch.setattr("compose.images.revision", lambda: CODE)
    monkeypatch.setenv("PATH", str(made.folder))
    return made


def at_port(stack: Stack, port: int) -> Stack:
    """The stack with its Airflow on another port."""
    return replace(stack, ports=replace(stack.ports, airflow=port))
