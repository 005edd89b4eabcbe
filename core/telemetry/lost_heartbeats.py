"""Raises the alarm for a task that has stopped beating (SPEC ORC-2)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
import structlog
from pydantic import BaseModel, FiniteFloat, ValidationError
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.config.events import Event
from core.errors import TransientError
from core.telemetry.heartbeat import HEARTBEATS
from core.telemetry.outbox import Outbox

HEARTBEAT_CODE: Final = "CORE_RETRAIN_HEARTBEAT"
ANSWER_SECONDS: Final = 5.0

_DROP_UNCHANGED: Final = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""


_FIELD: Final = re.compile(r"(?P<trace_id>.+)/(?P<task>[^/\[\]]+(\[\d+/\d+\])?)")


class _Beat(BaseModel):
    at: FiniteFloat
    started: FiniteFloat
    host: str
    pid: int


class LostHeartbeats:
    """The duty that watches `core:heartbeat:tasks`: one alarm for each task process that falls silent.

    A task is judged by the time Redis could be asked without a break: after an outage of Redis every task has
    `lost_seconds` to beat again.

    Args:
        redis_url, postgres_url: where the beats are, and the outbox.
        lost_seconds: a beat older than this is lost.
        log: gets a line for each lost beat.
    """

    def __init__(
        self, redis_url: str, postgres_url: str, lost_seconds: float, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._client = redis.Redis.from_url(
            redis_url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # the next turn is the next try; other duties wait meanwhile
        )
        self._outbox = Outbox(postgres_url)
        self._lost_seconds = lost_seconds
        self._log = log
        self._reachable_since: float | None = 0.0

    def run(self, now: datetime.datetime) -> None:
        """Post an alarm for every lost beat, then drop the beat.

        Raises TransientError where Redis or PostgreSQL does not answer.
        """
        seconds = now.timestamp()
        with self._redis_errors():
            # redis-py types a synchronous answer as one that may have to be awaited
            beats: Any = self._client.hgetall(HEARTBEATS)
            if self._reachable_since is None:
                self._reachable_since = seconds
            for field, content in sorted(beats.items()):
                self._judge(field.decode(), content, seconds, self._reachable_since)

    def _judge(self, field: str, content: bytes, now: float, since: float) -> None:
        named = _FIELD.fullmatch(field)
        try:
            beat = _Beat.model_validate_json(content)
        except ValidationError as error:
            self._log.error("heartbeat_unreadable", field=field, error=str(error))
            self._drop(field, content)
            return
        if now - max(beat.at, since) <= self._lost_seconds:
            return
        details = {
            "code": HEARTBEAT_CODE,
            "task": named["task"] if named else field,
            "host": beat.host,
            "pid": str(beat.pid),
            "started": _instant(beat.started),
            "last_beat": _instant(beat.at),
            "trace_id": named["trace_id"] if named else "",
        }
        new = self._outbox.post(Event.HEARTBEAT_LOST, f"{Event.HEARTBEAT_LOST}/{field}/{beat.started!r}", details)
        self._log.error("heartbeat_lost", **details, posted=new)
        self._drop(field, content)

    def _drop(self, field: str, content: bytes) -> None:
        """Remove the beat, unless the task has beaten since."""
        self._client.eval(_DROP_UNCHANGED, 1, HEARTBEATS, field, content)

    @contextmanager
    def _redis_errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            self._reachable_since = None
            raise TransientError(
                "BUS_SERVER_UNREACHABLE",
                f"the heartbeats cannot be read: {error}",
                where=f"Redis, {HEARTBEATS}",
                remedy="check that the server runs and that REDIS_URL names it",
            ) from error


def _instant(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
