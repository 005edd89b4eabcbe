"""A task as a subprocess: its log, its result, its failures, and its end."""

from __future__ import annotations

import datetime
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from dags.factory.command_line import task_words
from dags.factory.outcome import TaskRetryableError
from dags.factory.process_task import ProcessTask
from tests.unit.dags.fake_tasks import write_fake_tasks


class Pushes:
    """Stands in for the task instance: keeps what is pushed."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(write_fake_tasks(tmp_path / "fake")))
    monkeypatch.setenv("ARCHIVE_PATH", str(tmp_path / "archive"))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://airflows-own")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def run(name: str, pushes: Pushes | None = None) -> dict[str, Any]:
    task = ProcessTask(task_id=name, command=words(name, {"run-id": "R", "data": ""}))
    return task.execute({"ti": pushes or Pushes()})


def words(name: str, options: dict[str, str]) -> list[str]:
    """As Airflow renders them for a run of all pairs."""
    return [word.split("{{")[0] for word in task_words("/configs", name, options, {})]


def test_the_last_line_is_the_result_and_empty_options_are_not_passed(archive: Path) -> None:
    assert run("catalog")["outputs"]["n_pairs"] == 2
    (call,) = (archive / "calls").iterdir()
    assert json.loads(call.read_text())["words"] == ["--config=/configs", "catalog", "--run-id=R"]


def test_log_lines_keep_their_level_and_reach_airflow(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("catalog")
    lines = capsys.readouterr().out.splitlines()
    (started,) = [line for line in lines if '"event": "started"' in line]
    (odd,) = [line for line in lines if '"event": "odd"' in line]
    assert "[info" in started
    assert "[warning" in odd
    assert "process_task.py" in odd


@pytest.mark.parametrize(
    ("code", "error"),
    [(10, AirflowFailException), (11, AirflowSkipException), (20, AirflowFailException), (1, AirflowFailException)],
)
def test_failures_no_retry_can_mend(archive: Path, code: int, error: type[Exception]) -> None:
    (archive / "train.behaviour").write_text(f"exit {code}")
    pushes = Pushes()
    with pytest.raises(error, match="TEST_FAKE_FAILURE: it was told to fail"):
        run("train", pushes)
    assert pushes.pushed["failure"]["exit_code"] == code


def test_a_transient_failure_is_retryable(archive: Path) -> None:
    (archive / "train.behaviour").write_text("exit 30")
    with pytest.raises(TaskRetryableError):
        run("train")


def test_a_killed_task_is_retryable_and_runs_the_next_time(archive: Path) -> None:
    (archive / "train.behaviour").write_text("die once")
    pushes = Pushes()
    with pytest.raises(TaskRetryableError, match="killed by signal 9"):
        run("train", pushes)
    assert pushes.pushed["failure"]["exit_code"] == -signal.SIGKILL
    assert run("train")["status"] == "done"


def test_a_task_that_takes_too_long_is_ended_and_says_so(archive: Path) -> None:
    (archive / "train.behaviour").write_text("sleep")
    task = ProcessTask(task_id="train", command=words("train", {}), execution_timeout=datetime.timedelta(seconds=7200))
    pushes = Pushes()

    def expire(number: int, frame: object) -> None:
        raise AirflowTaskTimeout

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(AirflowTaskTimeout):
            task.execute({"ti": pushes})
    finally:
        signal.signal(signal.SIGALRM, before)
    assert task._process is not None
    assert task._process.poll() is not None
    assert pushes.pushed["failure"]["exit_code"] == 124
    assert "longer than its 7200 s" in pushes.pushed["failure"]["text"]


def test_airflows_own_variables_do_not_reach_a_task(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = archive.parent / "fake" / "tasks" / "__main__.py"
    program.write_text(
        "import json, os; print(json.dumps({'outputs': {n: v for n, v in os.environ.items() if 'AIRFLOW' in n}}))"
    )
    assert run("catalog")["outputs"] == {}


def test_on_kill_ends_the_task_and_its_children(archive: Path) -> None:
    program = archive.parent / "fake" / "tasks" / "__main__.py"
    program.write_text(
        "import os, pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path(os.environ['ARCHIVE_PATH'], 'pids').write_text(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)\n"
    )
    task = ProcessTask(task_id="train", command=words("train", {}))
    caught: list[Exception] = []

    def execute() -> None:
        try:
            task.execute({"ti": Pushes()})
        except TaskRetryableError as error:
            caught.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    pids = archive / "pids"
    while not pids.exists() or not pids.read_text():
        time.sleep(0.02)
    task.on_kill()
    thread.join()
    assert len(caught) == 1
    for pid in map(int, pids.read_text().split()):
        assert _ended(pid)


def _ended(pid: int) -> bool:
    """Whether a process is gone, waiting a while for init to reap it."""
    for _ in range(250):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False
