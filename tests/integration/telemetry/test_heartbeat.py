"""The heartbeat in a real Redis: while a task runs, however it ends, and without a Redis."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
import redis
import structlog
from structlog.testing import capture_logs

from core.config.retrain_policy import CatBoostParameters
from core.features.kernels.compiled import compiled
from core.models.boosting import fit_trees
from core.telemetry.heartbeat import HEARTBEATS, heartbeat, read_beats
from laptop.servers import EmbeddedRedis
from tests.fixtures.command_line import REPOSITORY
from tests.fixtures.tiny_market import NOWHERE

_BEATING = """
import hashlib, sys, time
import structlog
from core.telemetry.heartbeat import heartbeat

with heartbeat(sys.argv[1], "t1", "train", 0.05, structlog.get_logger()):
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""
"""A task whose main thread is inside one call of compiled code that no signal of Python's interrupts."""


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Until it holds; the limit only keeps a failing test from hanging."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")


def beats_written(client: redis.Redis) -> int:
    statistics = client.info("commandstats")
    assert isinstance(statistics, dict)
    return int(statistics.get("cmdstat_hset", {"calls": 0})["calls"])


@pytest.mark.parametrize("ending", [None, RuntimeError, KeyboardInterrupt, SystemExit])
def test_it_beats_while_the_task_runs_and_is_gone_however_that_ends(
    client: redis.Redis, redis_url: str, ending: type[BaseException] | None
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def task() -> None:
        with heartbeat(redis_url, "t1", "train[2/3]", 0.01, structlog.get_logger()):
            first = beats_written(client)
            wait_for(lambda: beats_written(client) > first + 2)
            (beat,) = read_beats(client)
            assert beat.field == "t1/train[2/3]"
            assert beat.every == 0.01
            assert beat.started <= beat.at
            if ending is not None:
                raise ending

    if ending is None:
        task()
    else:
        with pytest.raises(ending):
            task()
    assert client.hlen(HEARTBEATS) == 0
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("number", "exit_code", "left"), [(signal.SIGTERM, 128 + signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL, 1)]
)
def test_a_terminated_task_takes_its_beat_away_and_a_killed_one_leaves_it(
    client: redis.Redis, redis_url: str, number: signal.Signals, exit_code: int, left: int
) -> None:
    command = [sys.executable, "-c", _BEATING, redis_url]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as task:
        assert task.stdout is not None
        assert task.stdout.readline() == "begun\n"
        wait_for(lambda: client.hlen(HEARTBEATS))
        task.send_signal(number)
        assert task.wait(30.0) == exit_code
    assert client.hlen(HEARTBEATS) == left


def test_a_handler_the_task_installs_comes_first(client: redis.Redis, redis_url: str) -> None:
    told = threading.Event()
    with heartbeat(redis_url, "t1", "watch", 0.01, structlog.get_logger()):
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        signal.raise_signal(signal.SIGTERM)
        first = beats_written(client)
        wait_for(lambda: beats_written(client) > first + 2)
    assert told.is_set()
    assert client.hlen(HEARTBEATS) == 0


def test_the_beat_of_another_try_stays(client: redis.Redis, redis_url: str) -> None:
    with heartbeat(redis_url, "t1", "train", 600.0, structlog.get_logger()):
        wait_for(lambda: client.hlen(HEARTBEATS))
        (ours,) = read_beats(client)
        content = {"at": ours.at, "started": ours.started, "host": "elsewhere", "pid": ours.pid, "every": ours.every}
        client.hset(HEARTBEATS, ours.field, orjson.dumps(content))
    assert read_beats(client) == [replace(ours, host="elsewhere")]


def test_a_redis_that_is_away_is_said_once_and_asked_again(server_folder: Path) -> None:
    server = EmbeddedRedis(server_folder / "redis")
    with capture_logs() as logs, heartbeat(server.url, "t1", "train", 0.01, structlog.get_logger()):
        wait_for(lambda: logs)
        with server, redis.Redis.from_url(server.url) as client:
            wait_for(lambda: client.hlen(HEARTBEATS))
            wait_for(lambda: len(logs) == 2)
        wait_for(lambda: len(logs) == 3)
    assert [line["event"] for line in logs] == ["heartbeat_unreachable", "heartbeat_reachable", "heartbeat_unreachable"]


def test_without_any_redis_the_task_goes_on() -> None:
    with heartbeat(NOWHERE[1], "t1", "train", 0.01, structlog.get_logger()):
        done = True
    assert done


def test_a_training_does_not_hold_it_up(client: redis.Redis, redis_url: str) -> None:
    parameters = CatBoostParameters(
        iterations=400,
        depth=6,
        learning_rate=0.1,
        l2_leaf_reg=6.0,
        border_count=64,
        subsample=0.5,
        leaf_estimation_iterations=1,
        thread_count=1,
    )
    chance = np.random.default_rng(1)
    rows = chance.normal(size=(20_000, 20))
    target = (rows[:, 0] + chance.normal(size=20_000) > 0).astype(np.float64)
    with heartbeat(redis_url, "t1", "train", 0.01, structlog.get_logger()):
        wait_for(lambda: client.hlen(HEARTBEATS))
        before = beats_written(client)
        fit_trees(rows, target, None, loss="Logloss", centred=True, parameters=parameters, seed=1)
        assert beats_written(client) > before + 5


@compiled  # type: ignore[untyped-decorator]
def _steps(count: int) -> float:
    value = 0.5
    for _ in range(count):
        value = 3.7 * value * (1.0 - value)
    return value


def test_between_compiled_calls_that_hold_the_interpreter_it_beats(client: redis.Redis, redis_url: str) -> None:
    with heartbeat(redis_url, "t1", "features", 0.01, structlog.get_logger()):
        wait_for(lambda: client.hlen(HEARTBEATS))
        before = beats_written(client)
        for _ in range(20):
            _steps(10_000_000)
        assert beats_written(client) > before + 5
