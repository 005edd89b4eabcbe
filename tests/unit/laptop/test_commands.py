"""`python -m laptop` where nothing may be started: bad input, nothing running, cleaning up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from laptop.environment import REPOSITORY
from laptop.state_folder import StateFolder


def laptop(*words: str | Path, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "laptop", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_every_fault_of_a_configuration_is_listed_and_nothing_is_started(tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(REPOSITORY / "configs", config)
    (config / "base" / "retrain_policy.yaml").write_text("retrain_cron: { value: 7 }\nunheard_of: { value: 1 }\n")
    (config / "base" / "dd_policy.yaml").unlink()
    done = laptop("run", "--state", tmp_path / "state", "--config", config, "--once")
    assert done.returncode == 20
    for fault in ("retrain_policy.yaml: retrain_cron", "unheard_of", "seed", "dd_policy.yaml"):
        assert fault in done.stdout
    closing = json.loads(done.stdout.splitlines()[-1])
    assert closing["status"] == "failed"
    assert closing["model_version"] is None
    assert not (tmp_path / "state").exists()


def test_a_folder_of_bars_that_is_not_there_is_named_as_the_caller_sees_it(tmp_path: Path) -> None:
    done = laptop("run", "--state", "state", "--data", "bars", "--once", cwd=tmp_path)
    assert done.returncode == 20
    assert str(tmp_path / "bars") in done.stdout
    assert not (tmp_path / "state").exists()


def test_status_and_stop_where_nothing_runs(tmp_path: Path) -> None:
    assert "Nothing was run" in laptop("status", "--state", tmp_path / "state").stdout
    assert laptop("stop", "--state", tmp_path / "state").stdout == "Nothing runs.\n"


def test_status_tells_of_the_run_that_failed_not_of_the_one_before(tmp_path: Path) -> None:
    bars, state = tmp_path / "bars", tmp_path / "state"
    bars.mkdir()
    (bars / "EURUSD.parquet").write_bytes(b"PAR1 and no more")
    market = StateFolder.of_market(state, bars, None)
    market.create()
    market.verdict.write_text('{"status": "deployed"}\n')
    done = laptop("run", "--state", state, "--data", bars, "--once")
    assert done.returncode == 20, done.stdout
    told = laptop("status", "--state", state).stdout
    assert f"Last run: {done.stdout.splitlines()[-1]}" in told
    assert "deployed" not in told


def test_a_dry_clean_says_what_it_would_delete_and_deletes_nothing(tmp_path: Path) -> None:
    market = StateFolder.at(tmp_path / "state" / "simulated")
    market.create()
    with market.locked():
        pass
    shown = laptop("clean", "--state", tmp_path / "state", "--dry-run")
    assert shown.returncode == 0
    assert f"would delete {tmp_path / 'state'}" in shown.stdout
    assert market.root.is_dir()


def test_clean_touches_only_what_a_run_wrote(tmp_path: Path) -> None:
    mine = tmp_path / "documents"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    refused = laptop("clean", "--state", mine)
    assert refused.returncode != 0
    assert "holds more than" in refused.stderr
    assert (mine / "letter.txt").exists()


@pytest.mark.parametrize("folder", [REPOSITORY, REPOSITORY.parent, Path.home(), Path("/")])
def test_clean_never_deletes_a_folder_that_holds_more(folder: Path) -> None:
    assert laptop("clean", "--state", folder).returncode != 0
