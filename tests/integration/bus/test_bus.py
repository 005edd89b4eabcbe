"""Signals and model notices reach a real Redis once, whole and in order."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
import redis

from core.errors import InputError, TransientError
from core.signals.signal import Signal
from core.stores.bus import Bus
from core.stores.registry import DeployedModel, Deployment
from tests.integration.bus.signals import a_signal


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def test_a_signal_is_streamed_kept_and_told(redis_url: str, client: Any) -> None:
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("core:signals:new")
    listener.get_message(timeout=5)
    signal = a_signal()
    assert Bus(redis_url).publish_signal(signal)
    ((_, entry),) = client.xrange("core:signals")
    assert entry == {"id": signal.id, "pair_id": signal.pair_id, "signal": signal.to_json().decode()}
    assert Signal.from_json(client.hget("core:signals:latest", signal.pair_id).encode()) == signal
    assert listener.get_message(timeout=5)["data"] == signal.to_json().decode()


def test_a_repeat_is_recognised(redis_url: str, client: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(lambda _: Bus(redis_url).publish_signal(a_signal()), range(16)))
    assert sum(published) == 1
    assert client.xlen("core:signals") == 1


def test_an_older_signal_does_not_replace_the_latest(redis_url: str, client: Any) -> None:
    bus = Bus(redis_url)
    newer, older, other = a_signal(5), a_signal(2), a_signal(1, "EURUSD-GBPUSD")
    for signal in (newer, older, other):
        bus.publish_signal(signal)
    latest = client.hgetall("core:signals:latest")
    assert {pair: orjson.loads(body)["id"] for pair, body in latest.items()} == {
        newer.pair_id: newer.id,
        other.pair_id: other.id,
    }
    assert client.xlen("core:signals") == 3


def _deployment(version: str, minute: int) -> Deployment:
    moment = datetime.datetime(2024, 1, 1, 0, minute, tzinfo=datetime.UTC)
    return Deployment(DeployedModel(version, 0.7, 0.3), moment)


def test_a_deployment_is_announced_once_and_never_undone_by_an_older_one(redis_url: str, client: Any) -> None:
    bus = Bus(redis_url)
    assert bus.announce_model(_deployment("first", 1), "first")
    assert not bus.announce_model(_deployment("first", 1), "first")
    assert bus.announce_model(_deployment("second", 2), "second")
    assert not bus.announce_model(_deployment("first", 1), "first")
    assert bus.announce_model(_deployment("first", 3), "first")
    assert [entry["model_version"] for _, entry in client.xrange("core:models:notices")] == ["first", "second", "first"]
    deployed = client.hgetall("core:models:deployed")
    assert (deployed["model_version"], deployed["theta1"], deployed["bundle"]) == ("first", "0.7", "first")
    assert orjson.loads(client.xrevrange("core:models:notices", count=1)[0][1]["notice"]) == deployed


def test_a_server_out_of_reach_is_transient_and_keeps_the_password_to_itself() -> None:
    with pytest.raises(TransientError, match=r"BUS_SERVER_UNREACHABLE.*redis://127\.0\.0\.1:1/0") as caught:
        Bus("redis://core:s3cret@127.0.0.1:1/0").check()
    assert "s3cret" not in str(caught.value)
    with pytest.raises(TransientError, match="BUS_SERVER_UNREACHABLE"):
        Bus("unix:///nowhere/redis.sock").publish_signal(a_signal())


def test_an_address_that_is_none_is_bad_input(redis_url: str) -> None:
    with pytest.raises(InputError, match="BUS_ADDRESS_MALFORMED"):
        Bus("localhost:6379")
    with pytest.raises(InputError, match="BUS_ADDRESS_REFUSED"):
        Bus(redis_url.replace("unix://", "unix://someone:wrong@")).check()
