"""Prometheus as Debian packages it; `.ci/run` installs it, elsewhere what needs it is skipped."""

from __future__ import annotations

import shutil

import pytest


def _installed(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (apt-get install prometheus)")
    return path


@pytest.fixture
def promtool() -> str:
    return _installed("promtool")


@pytest.fixture
def prometheus() -> str:
    return _installed("prometheus")
