"""A chain killed at every task and started again ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.chain import CHAIN, REPOSITORY, Chain, Ended, assert_passed
from tests.fixtures import markets

pytestmark = pytest.mark.slow


def _contents(state: Path) -> dict[str, str]:
    """Checksums of the one bundle a state folder holds."""
    (bundle,) = (path for path in (state / "archive" / "models").iterdir() if path.is_dir() and path.name[0] != ".")
    checksums = json.loads((bundle / "checksums.json").read_text(encoding="utf-8"))
    return {"version": bundle.name, **checksums.get("files", checksums)}


def test_killed_at_any_task_and_started_again_it_ends_the_same(
    tmp_path: Path, postgres_url: str, redis_url: str, registry_url: str
) -> None:
    config = markets.small(tmp_path)
    calm = Chain.at(tmp_path / "calm", config, registry_url, redis_url)
    calm.prepare()
    assert_passed(calm.run())
    harried = Chain.at(tmp_path / "harried", config, postgres_url, redis_url)
    harried.prepare()
    ends: dict[str, Ended] = {}
    for name in CHAIN:
        _kill_midway(harried, name, ends)
        ends[name] = harried.task(name, *harried.options(name, ends))
    assert_passed(ends)
    assert _contents(tmp_path / "harried") == _contents(tmp_path / "calm")


def _kill_midway(chain: Chain, name: str, ends: dict[str, Ended]) -> None:
    command = chain.command(name, *chain.options(name, ends))
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=dict(chain.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(2.0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
