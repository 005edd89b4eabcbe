"""One run a folder, and secrets only its owner reads."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import InputError
from laptop.environment import MARKER, REPOSITORY, airflow_environment, task_environment
from laptop.leftovers import end_processes, find_processes
from laptop.state_folder import StateFolder


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder.at(tmp_path / "state")
    folder.create()
    return folder


def test_a_second_run_is_refused_and_told_who_runs(state: StateFolder) -> None:
    with state.locked():
        assert state.holder() == os.getpid()
        with pytest.raises(InputError, match=rf"process {os.getpid()}\) uses this state folder"), state.locked():
            pass
    assert state.holder() is None
    with state.locked():
        assert state.holder() == os.getpid()


def test_a_killed_run_leaves_no_lock(state: StateFolder) -> None:
    program = (
        "import sys, time; from pathlib import Path; from laptop.state_folder import StateFolder\n"
        "with StateFolder.at(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, str(state.root)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert state.holder() == holder.pid
        holder.kill()
    with state.locked():
        pass


def test_secrets_are_made_once_and_kept_private(state: StateFolder) -> None:
    assert state.secrets() == state.secrets()
    assert stat.S_IMODE((state.root / "secrets.json").stat().st_mode) == 0o600
    other = StateFolder.at(state.root / "other")
    other.create()
    assert state.secrets() != other.secrets()


def test_a_file_in_the_way_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(InputError, match="STATE="):
        StateFolder.at(tmp_path / "state").create()


def test_every_process_of_a_folder_is_found_and_ended_and_no_other(state: StateFolder, tmp_path: Path) -> None:
    def sleeper(root: Path) -> subprocess.Popen[bytes]:
        program = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, env={**os.environ, MARKER: str(root)}, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    ours, other = sleeper(state.root), sleeper(tmp_path / "other")
    try:
        assert [process.pid for process in find_processes(state.root)] == [ours.pid]
        assert end_processes(state.root) == 1
        assert ours.poll() is not None, "it ignores SIGTERM, so it is killed"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_tasks_get_what_they_need_and_airflow_starts_no_telemetry(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    tasks = task_environment(state, Path("/configs"), "postgresql://u@/core?host=/s", "unix:///r")
    assert tasks["SERVICE_ENV"] == "dev"
    assert tasks["TZ"] == "UTC"
    assert tasks["ARCHIVE_PATH"] == str(state.root / "archive")
    assert tasks["PYTHONPATH"].split(os.pathsep)[-1] == str(REPOSITORY)
    assert not {"PYTHONDONTWRITEBYTECODE", "AIRFLOW__CORE__LOAD_EXAMPLES"} & set(tasks)
    airflow = airflow_environment(tasks, state, "postgresql://u@/airflow?host=/s", 1, 2)
    assert airflow["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql+psycopg2://u@/airflow?host=/s"
    assert airflow["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert airflow["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert airflow["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_each_market_has_a_folder_of_its_own(tmp_path: Path) -> None:
    markets = [(None, None), (None, tmp_path / "c"), (tmp_path / "bars", None), (tmp_path / "other" / "bars", None)]
    folders = [StateFolder.of_market(tmp_path, data, config) for data, config in markets]
    assert len({folder.root for folder in folders}) == len(markets)
    assert folders[0].root == tmp_path / "simulated"
    assert folders[2].root.name.startswith("bars-")
    for folder in folders:
        folder.create()
        with folder.locked():
            pass
    assert {folder.root for folder in StateFolder.all_below(tmp_path)} == {folder.root for folder in folders}
