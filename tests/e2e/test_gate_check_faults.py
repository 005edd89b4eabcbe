"""`python -m gatecheck` whose server or a process is killed: a stated end, and the same command goes on from there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from laptop.environment import REPOSITORY

pytestmark = pytest.mark.slow
PLAN = Path(__file__).parent / "gate_check_small.yaml"


@pytest.fixture
def plan(server_folder: Path) -> Path:
    """Two markets of two pairs, blocked for want of starts: both chains end within seconds."""
    content = yaml.safe_load(PLAN.read_text(encoding="utf-8")) | {"pairs": 2}
    content["settings"]["retrain_policy"]["min_starts"] = 1_000_000
    path = server_folder / "plan.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@contextmanager
def _running(plan: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "gatecheck", "--state", str(plan.parent), "--plan", str(plan), "--workers", "1"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as check:
        try:
            yield check
        finally:
            check.kill()


def _until(check: subprocess.Popen[str], words: str) -> str:
    """What the check shows up to the first line with these words."""
    assert check.stdout is not None
    shown = []
    for line in check.stdout:
        shown.append(line)
        if words in line:
            return "".join(shown)
    raise AssertionError(f"no line with {words!r}: {''.join(shown)}")


def _rest(check: subprocess.Popen[str]) -> tuple[int, str, dict[str, Any]]:
    """Exit code, the rest of what it shows, and its last line."""
    shown, errors = check.communicate(timeout=120)
    assert "Traceback" not in errors, errors
    return check.returncode, shown, json.loads(shown.strip().splitlines()[-1])


def _kill_server(state: Path) -> None:
    pid, _ = (state / "gate-check" / "postgres" / "server.pid").read_text(encoding="ascii").split()
    os.kill(int(pid), signal.SIGKILL)


def _markets(check: subprocess.Popen[str]) -> list[psutil.Process]:
    return [each for each in psutil.Process(check.pid).children() if "--multiprocessing-fork" in each.cmdline()]


def _ended(process: psutil.Process) -> bool:
    """Whether it runs no more, though nobody may have asked for its exit code yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _kill_market(check: subprocess.Popen[str]) -> None:
    (market,) = _markets(check)
    market.kill()


def test_what_is_killed_is_replaced_once_or_stated_and_the_same_command_goes_on(plan: Path) -> None:
    with _running(plan) as check:
        _until(check, "ingest")
        _kill_market(check)
        again = _until(check, "ingest")
        _until(check, "BLOCKED after")
        _until(check, "ingest")
        _kill_server(plan.parent)
        code, shown, last = _rest(check)
    assert "INTERRUPTED, is run once more: GATECHECK_MARKET_LOST" in again
    assert code == 30
    assert "LAPTOP_SERVER_LOST: PostgreSQL ended with -9" in shown
    assert "[do: " in shown
    assert last["error"].startswith("LAPTOP_SERVER_LOST")
    assert (last["null_markets"] + last["edge_markets"], last["unfinished"], last["failed"]) == (1, 1, 0)
    with _running(plan) as check:
        assert "1 of them finished by an earlier run; 1 to run" in _until(check, "1 to run")
        for _ in range(2):
            _until(check, "ingest")
            _kill_market(check)
        code, shown, last = _rest(check)
    assert code == 30
    assert "(SIGKILL)" in shown
    assert last["error"].startswith("GATECHECK_MARKET_LOST")
    assert (last["null_markets"] + last["edge_markets"], last["unfinished"], last["failed"]) == (1, 1, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_no_market_outlives_a_killed_check(plan: Path) -> None:
    with _running(plan) as check:
        _until(check, "ingest")
        (market,) = _markets(check)
        market.suspend()  # or it would come to ask for PostgreSQL, and end for want of it
        check.kill()
        deadline = time.monotonic() + 10
        while not _ended(market) and time.monotonic() < deadline:
            time.sleep(0.05)
        ended = _ended(market)
        with contextlib.suppress(psutil.NoSuchProcess):
            market.kill()
    assert ended
