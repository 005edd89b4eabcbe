"""The chain of tasks on simulated markets: what it decides, and that nothing is lost when it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from tests.e2e import markets
from tests.e2e.chain import CHAIN, REPOSITORY, Chain, Ended

pytestmark = pytest.mark.slow


def _contents(state: Path) -> dict[str, str]:
    """Checksums of the one bundle a state folder holds."""
    (bundle,) = (path for path in (state / "archive" / "models").iterdir() if path.is_dir() and path.name[0] != ".")
    checksums = json.loads((bundle / "checksums.json").read_text(encoding="utf-8"))
    return {"version": bundle.name, **checksums.get("files", checksums)}


def _passed(ends: dict[str, Ended]) -> None:
    for name, ended in ends.items():
        assert ended.code == 0, f"{name} exited with {ended.code}\n{ended.log[-3000:]}"
    assert tuple(ends) == CHAIN


def test_a_market_without_edge_is_rejected(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    chain = Chain.at(tmp_path, markets.without_edge(tmp_path), postgres_url, redis_url)
    chain.prepare()
    ends = chain.run()
    _passed(ends)
    verdict = json.loads((Path(ends["catalog"].last["outputs"]["run_dir"]) / "theta" / "verdict.json").read_text())
    assert verdict["status"] == "rejected"
    assert verdict["reasons"]
    assert verdict["n_trades"] > 0
    assert ends["publish"].last["outputs"]["status"] == "rejected"
    assert ends["infer"].last["outputs"]["signal"] is None
    with redis.Redis.from_url(redis_url) as client:
        assert client.exists("core:signals") == 0


def test_killed_at_any_task_and_started_again_it_ends_the_same(
    tmp_path: Path, postgres_url: str, redis_url: str, registry_url: str
) -> None:
    config = markets.small(tmp_path)
    calm = Chain.at(tmp_path / "calm", config, registry_url, redis_url)
    calm.prepare()
    _passed(calm.run())
    harried = Chain.at(tmp_path / "harried", config, postgres_url, redis_url)
    harried.prepare()
    ends: dict[str, Ended] = {}
    for name in CHAIN:
        _kill_midway(harried, name, ends)
        ends[name] = harried.task(name, *harried.options(name, ends))
    _passed(ends)
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
