"""How far a task is, where a person following the run can see it."""

from __future__ import annotations

import time
from typing import Final, Protocol

import orjson
import redis
import structlog

MIN_INTERVAL_SECONDS: Final = 0.5
KEPT_SECONDS: Final = 86_400


class Progress(Protocol):
    """Told by a task how far it is."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """`done` of `total` units are finished."""


class LoggedProgress:
    """Progress as log lines only: for tasks that run without servers."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log

    def advance(self, done: int, total: int, unit: str) -> None:
        self._log.info("progress", done=done, total=total, unit=unit)


class RedisProgress:
    """Progress in the Redis hash `core:progress:{trace_id}`, field = the task's process, and in the log.

    Progress is a courtesy: where Redis does not answer, a warning is logged once and the task goes on.
    """

    def __init__(self, redis_url: str, trace_id: str, task: str, log: structlog.stdlib.BoundLogger) -> None:
        self._client = redis.Redis.from_url(redis_url, socket_timeout=2.0, socket_connect_timeout=2.0)
        self._key = f"core:progress:{trace_id}"
        self._task = task
        self._log = log
        self._last = 0.0
        self._reachable = True

    def advance(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        if done < total and now - self._last < MIN_INTERVAL_SECONDS:
            return
        self._last = now
        self._log.info("progress", done=done, total=total, unit=unit)
        if not self._reachable:
            return
        content = orjson.dumps({"done": done, "total": total, "unit": unit, "at": time.time()})
        try:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hset(self._key, self._task, content.decode())
            pipeline.expire(self._key, KEPT_SECONDS)
            pipeline.execute()
        except redis.RedisError as error:
            self._reachable = False
            self._log.warning("progress_unreachable", error=str(error))
