"""`make run` as a person has it: real Airflow, PostgreSQL and Redis, the simulated market, the real tasks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from laptop.environment import REPOSITORY
from laptop.leftovers import end_processes, find_processes
from laptop.servers import EmbeddedPostgres, EmbeddedRedis
from laptop.state_folder import StateFolder

pytestmark = pytest.mark.slow


def start(state: Path, *words: str) -> subprocess.Popen[str]:
    """The launcher in a session of its own, its output as lines."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    command = [sys.executable, "-m", "laptop", "run", "--state", str(state), *words]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """The launcher's lines up to the one that holds `words`."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    pytest.fail(f"the launcher ended before it said {words!r}:\n{seen}")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    folder = StateFolder.of_market(tmp_path_factory.mktemp("make-run") / "state", None, None)
    yield folder
    end_processes(folder.root)
    for server in (EmbeddedRedis(folder.redis), EmbeddedPostgres(folder.postgres)):
        server.stop()


def test_a_killed_run_is_taken_up_by_the_next_one_which_ends_with_a_verdict(state: StateFolder) -> None:
    killed = start(state.root.parent)
    read_until(killed, "simulated market")
    read_until(killed, "catalog")

    second = start(state.root.parent)
    refused, _ = second.communicate()
    assert second.returncode == 20
    assert f"process {killed.pid}) uses this state folder" in refused

    killed.kill()  # no handler runs: whatever was started is left to itself
    killed.communicate()
    run = start(state.root.parent, "--once")
    output, _ = run.communicate()
    assert run.returncode == 0, output

    closing = json.loads(output.splitlines()[-1])
    assert list(closing) == [
        "model_version",
        "status",
        "reasons",
        "sharpe",
        "max_drawdown",
        "trades_per_year",
        "n_pairs",
        "n_bars",
        "run_dir",
    ]
    assert closing["status"] == "deployed", closing["reasons"]
    assert closing["n_pairs"] >= 8
    assert Path(closing["run_dir"], "theta", "verdict.json").is_file()
    assert Path(closing["run_dir"], "report", "report.html").is_file()
    assert f'"model_version": "{closing["model_version"]}"' in output, "the first signal is shown"
    for task in ("ingest", "catalog", "features", "train", "backtest", "theta", "report", "publish", "infer"):
        assert any(task in line and "done" in line for line in output.splitlines()), task

    assert find_processes(state.root) == []
    assert not EmbeddedPostgres(state.postgres).running()
    assert not EmbeddedRedis(state.redis).running()
    assert json.loads(state.verdict.read_text()) == closing


def test_a_run_told_to_stop_while_it_starts_ends_everything_it_started(state: StateFolder) -> None:
    run = start(state.root.parent)
    read_until(run, "Starting PostgreSQL")
    while not find_processes(state.root):
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate()
    assert run.returncode == 130
    assert json.loads(output.splitlines()[-1])["reasons"] == ["stopped before the verdict"]
    deadline = time.monotonic() + 10.0
    while find_processes(state.root) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert find_processes(state.root) == []
    assert not EmbeddedPostgres(state.postgres).running()
    assert state.holder() is None
