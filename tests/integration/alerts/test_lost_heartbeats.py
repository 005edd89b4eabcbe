"""A task that stops beating raises one alarm; a Redis that stops answering raises none."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from core.config.events import Event
from core.errors import TransientError
from core.telemetry.heartbeat import HEARTBEATS
from core.telemetry.lost_heartbeats import LostHeartbeats
from laptop.servers import EmbeddedRedis
from tests.integration.alerts.notices import notifications

NOW = datetime.datetime(2024, 1, 1, 3, 0, tzinfo=datetime.UTC)
LOST = 180


def _beat(redis_url: str, field: str, *, age: float, started: float = 1_704_070_000.5, now: Any = NOW) -> None:
    content = {"at": now.timestamp() - age, "started": started, "host": "worker-1", "pid": 42, "every": 60.0}
    with redis.Redis.from_url(redis_url) as client:
        client.hset(HEARTBEATS, field, json.dumps(content))


def _fields(redis_url: str) -> set[str]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        content: Any = client.hgetall(HEARTBEATS)
        return set(content)


def _duty(redis_url: str, postgres_url: str) -> LostHeartbeats:
    return LostHeartbeats(redis_url, postgres_url, LOST, structlog.stdlib.get_logger())


@pytest.mark.parametrize("task", ["train", "train[2/3]", "gate-index", "watch-worker-1.lan:42"])
def test_a_silent_task_raises_one_alarm(redis_url: str, registry_url: str, task: str) -> None:
    duty = _duty(redis_url, registry_url)
    _beat(redis_url, f"t/1/{task}", age=LOST + 1)
    _beat(redis_url, "t2/train", age=LOST)
    duty.run(NOW)
    duty.run(NOW)
    (posted,) = notifications(registry_url)
    assert posted["event"] == Event.HEARTBEAT_LOST
    assert posted["fields"] == {
        "code": "CORE_RETRAIN_HEARTBEAT",
        "task": task,
        "trace_id": "t/1",
        "host": "worker-1",
        "pid": "42",
        "started": "2024-01-01T00:46:40+00:00",
        "last_beat": "2024-01-01T02:56:59+00:00",
    }
    assert _fields(redis_url) == {"t2/train"}


def test_a_task_that_comes_back_and_falls_silent_again_raises_no_second_alarm_but_its_next_try_does(
    redis_url: str, registry_url: str
) -> None:
    duty = _duty(redis_url, registry_url)
    for started in (1.0, 1.0, 2.0):
        _beat(redis_url, "t1/train", age=500, started=started)
        duty.run(NOW)
    assert [posted["key"] for posted in notifications(registry_url)] == [
        "heartbeat_lost/t1/train/1.0",
        "heartbeat_lost/t1/train/2.0",
    ]


def test_an_outage_of_redis_is_no_silence_of_the_tasks(server_folder: Path, registry_url: str) -> None:
    with EmbeddedRedis(server_folder) as server:
        duty = _duty(server.url, registry_url)
        duty.run(NOW)
    with pytest.raises(TransientError, match="BUS_SERVER_UNREACHABLE"):
        duty.run(NOW)
    with EmbeddedRedis(server_folder) as server:
        _beat(server.url, "t1/train", age=400)
        duty.run(NOW)
        duty.run(NOW + datetime.timedelta(seconds=LOST))
        assert notifications(registry_url) == []
        duty.run(NOW + datetime.timedelta(seconds=LOST + 1))
        assert len(notifications(registry_url)) == 1


def test_the_beat_stays_until_the_alarm_is_kept(redis_url: str, registry_url: str) -> None:
    _beat(redis_url, "t1/train", age=500)
    with pytest.raises(TransientError, match="DATABASE_SERVER_UNREACHABLE"):
        _duty(redis_url, "postgresql://127.0.0.1:1/core").run(NOW)
    assert _fields(redis_url) == {"t1/train"}
    _duty(redis_url, registry_url).run(NOW)
    assert len(notifications(registry_url)) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"at": "late"}', '{"at": NaN, "started": 1, "host": "h", "pid": 1}']
)
def test_an_unreadable_beat_is_dropped_and_hides_no_other(redis_url: str, registry_url: str, content: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.hset(HEARTBEATS, "a/task", content)
    _beat(redis_url, "t1/train", age=500)
    _duty(redis_url, registry_url).run(NOW)
    assert len(notifications(registry_url)) == 1
    assert _fields(redis_url) == set()
