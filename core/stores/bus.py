"""Redis: where signals and model notices are published (SPEC SRV-1, SRV-5, REG-2).

Keys: stream ``core:signals``, hash ``core:signals:latest`` (field: pair), channel ``core:signals:new``; hash
``core:models:deployed``, stream ``core:models:notices``, channel ``core:models:new``.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import redis
from redis import exceptions

from core.errors import InputError, TransientError
from core.signals.signal import Signal
from core.stores.registry import Deployment

SIGNALS: Final = "core:signals"
LATEST_SIGNALS: Final = "core:signals:latest"
NEW_SIGNALS: Final = "core:signals:new"
SEEN_SIGNALS: Final = "core:signals:seen"
DEPLOYED_MODEL: Final = "core:models:deployed"
MODEL_NOTICES: Final = "core:models:notices"
NEW_MODELS: Final = "core:models:new"
SEEN_SECONDS: Final = 30 * 86_400
"""How long the id of a published signal is remembered."""
ANSWER_SECONDS: Final = 10.0
_STREAM_PAGE: Final = 1000

_PUBLISH_SIGNAL: Final = """
if not redis.call('SET', KEYS[4], ARGV[3], 'NX', 'EX', ARGV[5]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'pair_id', ARGV[2], 'signal', ARGV[4])
local latest = redis.call('HGET', KEYS[2], ARGV[2])
if not latest or cjson.decode(latest)['timestamp'] <= ARGV[3] then redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) end
redis.call('PUBLISH', KEYS[3], ARGV[4])
return 1
"""

_ANNOUNCE_MODEL: Final = """
local known = redis.call('HGET', KEYS[1], 'applied_at')
if known and known >= ARGV[2] then return 0 end
local fields = cjson.decode(ARGV[1])
local flat = {}
for name, value in pairs(fields) do flat[#flat + 1] = name; flat[#flat + 1] = value end
redis.call('HSET', KEYS[1], unpack(flat))
redis.call('XADD', KEYS[2], '*', 'model_version', fields['model_version'], 'notice', ARGV[1])
redis.call('PUBLISH', KEYS[3], ARGV[1])
return 1
"""


class Bus:
    """Publishes to Redis, each message in one atomic step and once, however often it is repeated.

    Every method raises TransientError where Redis does not answer, and InputError where it refuses the credentials.
    """

    def __init__(self, redis_url: str) -> None:
        """Raises InputError when the address is no URL; nothing is connected yet."""
        self._address = _without_password(redis_url)
        try:
            self._client = redis.Redis.from_url(
                redis_url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
            )
        except ValueError as error:
            raise InputError(
                "BUS_ADDRESS_MALFORMED",
                f"the Redis address is no URL: {error}",
                where=self._address,
                remedy="set REDIS_URL to redis://host:port/0 or unix:///folder/redis.sock",
            ) from error

    def publish_signal(self, signal: Signal) -> bool:
        """Append to the stream, keep as the pair's latest unless a newer one is, and tell subscribers.

        Returns:
            False when a signal of this id was published before: nothing is written then.
        """
        body = signal.to_json().decode()
        stamp = signal.model_dump(mode="json")["timestamp"]
        keys = [SIGNALS, LATEST_SIGNALS, NEW_SIGNALS, f"{SEEN_SIGNALS}:{signal.id}"]
        return self._run(_PUBLISH_SIGNAL, keys, [signal.id, signal.pair_id, stamp, body, SEEN_SECONDS])

    def find_signal(self, identity: str) -> bytes | None:
        """A signal as it stands in the stream, None where it is not there. Reads from the newest entry backwards."""
        newest = b"+"
        with self._errors():
            while entries := self._page(newest):
                for _, fields in entries:
                    if fields.get(b"id") == identity.encode():
                        return fields[b"signal"]
                newest = b"(" + entries[-1][0]
        return None

    def announce_model(self, deployment: Deployment, bundle: str) -> bool:
        """Tell inference processes of the deployed model and where its bundle lies (a path below the shared root).

        Returns:
            False when this deployment, or a later one, was announced before.
        """
        applied_at = deployment.applied_at.astimezone(datetime.UTC).isoformat(timespec="microseconds")
        notice = {
            "model_version": deployment.model.model_version,
            "theta1": repr(deployment.model.theta1),
            "theta2": repr(deployment.model.theta2),
            "bundle": bundle,
            "applied_at": applied_at,
        }
        body = orjson.dumps(notice, option=orjson.OPT_SORT_KEYS).decode()
        return self._run(_ANNOUNCE_MODEL, [DEPLOYED_MODEL, MODEL_NOTICES, NEW_MODELS], [body, applied_at])

    def check(self) -> None:
        """Ask Redis for a sign of life."""
        with self._errors():
            self._client.ping()

    def _page(self, newest: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Entries of the stream from `newest` backwards."""
        entries: Any = self._client.xrevrange(SIGNALS, max=newest, count=_STREAM_PAGE)
        return list(entries)

    def _run(self, script: str, keys: list[str], values: list[str | int]) -> bool:
        with self._errors():
            return bool(self._client.eval(script, len(keys), *keys, *map(str, values)))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except exceptions.AuthenticationError as error:
            raise InputError(
                "BUS_ADDRESS_REFUSED",
                f"Redis refuses the credentials: {error}",
                where=self._address,
                remedy="correct user and password in REDIS_URL",
            ) from error
        except (exceptions.RedisError, OSError) as error:
            raise TransientError(
                "BUS_SERVER_UNREACHABLE",
                f"Redis does not take the message: {error}",
                where=self._address,
                remedy="check that the server runs and that REDIS_URL names it, then run the same command again",
            ) from error


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}" if parts.scheme else "REDIS_URL"
