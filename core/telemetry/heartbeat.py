"""A sign of life from inside a task process, for as long as it runs (SPEC ORC-2)."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import orjson
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

HEARTBEATS: Final = "core:heartbeat:tasks"
"""Redis hash: field ``{trace_id}/{process}``, such as ``t1/train[1/2]``; value a `Beat` without its field."""
ANSWER_SECONDS: Final = 2.0
_STOP: Final = b"\0"
_SIGNAL_BASE: Final = 128


@dataclass(frozen=True)
class Beat:
    """The newest sign of life of one task process. `at` and `started` in epoch seconds, `every` in seconds."""

    field: str
    at: float
    started: float
    host: str
    pid: int
    every: float


def read_beats(client: redis.Redis) -> list[Beat]:
    """The newest beat of every task process that has not said it ended. Raises redis.RedisError."""
    # redis-py types a synchronous answer as one that may have to be awaited
    fields: Any = client.hgetall(HEARTBEATS)
    return [Beat(field=field.decode(), **orjson.loads(value)) for field, value in sorted(fields.items())]


@contextmanager
def heartbeat(
    redis_url: str, trace_id: str, process: str, every: float, log: structlog.stdlib.BoundLogger
) -> Iterator[None]:
    """Beat every `every` seconds until the block is left, by whatever way; then take the beat away.

    `process` tells apart what beats side by side in a trace; the next try of the same goes by the same name.
    SIGTERM takes it away too and ends the process with 143, at once: the main thread may be inside a compiled call for
    long. A handler that the block installs for SIGTERM comes before this one. Outside the main thread signals
    are left alone. A Redis that does not answer is logged once, asked again at every beat, and never fails the task.
    """
    beating = _Beating(redis_url, f"{trace_id}/{process}", every, log)
    beating.start()
    try:
        with beating.noticing_signals():
            yield
    finally:
        beating.stop()


class _Beating(threading.Thread):
    """Wakes for the next beat, for the end of the task, or for a signal, whichever comes first."""

    def __init__(self, redis_url: str, field: str, every: float, log: structlog.stdlib.BoundLogger) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._client = redis.Redis.from_url(
            redis_url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._field = field
        self._every = every
        self._log = log
        self._process = {"started": time.time(), "host": socket.gethostname(), "pid": os.getpid()}
        self._reachable = True
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)

    @contextmanager
    def noticing_signals(self) -> Iterator[None]:
        """Python writes the number of every signal it handles to a socket, even while the main thread is busy in C."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handler = signal.signal(signal.SIGTERM, self._terminate)
        wakeup = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            signal.signal(signal.SIGTERM, handler)

    def run(self) -> None:
        while True:
            self._beat()
            if not select.select([self._woken], [], [], self._every)[0]:
                continue
            woken_by = self._woken.recv(64)
            if signal.SIGTERM in woken_by and signal.getsignal(signal.SIGTERM) == self._terminate:
                self._terminate(signal.SIGTERM, None)
            if _STOP in woken_by:
                self._take_away()
                return

    def stop(self) -> None:
        """Take the beat away and end the thread."""
        self._wake.send(_STOP)
        self.join()
        self._client.close()
        self._woken.close()
        self._wake.close()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        """By the main thread as soon as it runs Python again, or by this one, whichever is first."""
        self._take_away()
        os._exit(_SIGNAL_BASE + number)

    def _beat(self) -> None:
        value = orjson.dumps({"at": time.time(), "every": self._every, **self._process})
        try:
            self._client.hset(HEARTBEATS, self._field, value)
        except redis.RedisError as error:
            self._lost_redis(error)
            return
        if not self._reachable:
            self._log.info("heartbeat_reachable")
        self._reachable = True

    def _take_away(self) -> None:
        """Remove the beat, unless another try of the same task has written its own since."""
        try:
            value: Any = self._client.hget(HEARTBEATS, self._field)
            if value is not None and self._process.items() <= orjson.loads(value).items():
                self._client.hdel(HEARTBEATS, self._field)
        except redis.RedisError as error:
            self._lost_redis(error)

    def _lost_redis(self, error: redis.RedisError) -> None:
        if self._reachable:
            self._log.warning("heartbeat_unreachable", error=str(error))
        self._reachable = False
