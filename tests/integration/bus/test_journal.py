"""No signal is lost or doubled, whoever is killed and whenever."""

from __future__ import annotations

import datetime
import signal as signals
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from core.errors import TransientError
from core.stores.bus import Bus
from core.stores.journal import Journal
from laptop.servers import EmbeddedRedis
from tests.integration.bus.signals import a_signal

_KILLED = """
import os, signal, sys
from pathlib import Path
from core.stores import journal
from core.stores.bus import Bus
from tests.integration.bus.signals import a_signal
moment, path, url = sys.argv[1:]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if moment == "before_sending":
    Bus.publish_signal = die
elif moment == "before_marking":
    journal.Journal._mark = die
outbox = journal.Journal(Path(path))
outbox.write(a_signal())
outbox.deliver(Bus(url), a_signal().timestamp)
"""


def _stream(url: str) -> list[Any]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return [entry["id"] for _, entry in client.xrange("core:signals")]


def test_written_sent_and_marked(tmp_path: Path, redis_url: str) -> None:
    signal = a_signal()
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.write(signal)
        assert not journal.write(signal)
        assert journal.state(signal.id) == "pending"
        assert journal.deliver(Bus(redis_url), signal.timestamp) == [signal.id]
        assert journal.state(signal.id) == "sent"
        assert journal.deliver(Bus(redis_url), signal.timestamp) == []
        assert journal.state("unknown") is None
    assert _stream(redis_url) == [signal.id]


@pytest.mark.parametrize("moment", ["before_sending", "before_marking"])
def test_a_kill_neither_loses_nor_doubles_a_signal(tmp_path: Path, redis_url: str, moment: str) -> None:
    path = tmp_path / "journal.sqlite"
    killed = subprocess.run([sys.executable, "-c", _KILLED, moment, str(path), redis_url], check=False)
    assert killed.returncode == -signals.SIGKILL
    assert len(_stream(redis_url)) == (0 if moment == "before_sending" else 1)
    signal = a_signal()
    with Journal(path) as journal:
        assert journal.state(signal.id) == "pending"
        assert not journal.write(signal)
        assert journal.deliver(Bus(redis_url), signal.timestamp) == [signal.id]
    assert _stream(redis_url) == [signal.id]


def test_a_signal_waits_for_redis_and_survives_its_kill(tmp_path: Path) -> None:
    first, second = a_signal(0), a_signal(1)
    server = EmbeddedRedis(tmp_path / "redis")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.write(first)
        with pytest.raises(TransientError, match="BUS_SERVER_UNREACHABLE"):
            journal.deliver(Bus(server.url), first.timestamp)
        assert journal.state(first.id) == "pending"
        with server:
            journal.deliver(Bus(server.url), first.timestamp)
            pid = (tmp_path / "redis" / "server.pid").read_text().split()[0]
            subprocess.run(["kill", "-KILL", pid], check=True)
            journal.write(second)
            with pytest.raises(TransientError):
                journal.deliver(Bus(server.url), second.timestamp)
        with server:
            journal.deliver(Bus(server.url), second.timestamp)
            assert _stream(server.url) == [first.id, second.id]


def test_nothing_past_its_validity_is_sent(tmp_path: Path, redis_url: str) -> None:
    signal = a_signal()
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.write(signal)
        late = signal.valid_until + datetime.timedelta(seconds=1)
        assert journal.deliver(Bus(redis_url), late) == []
        assert journal.state(signal.id) == "expired"
        assert journal.deliver(Bus(redis_url), signal.timestamp) == []
    assert _stream(redis_url) == []


def test_every_write_reaches_the_disk(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database, " * 100)
    with pytest.raises(TransientError, match=r"JOURNAL_DISK_WRITE.*journal\.sqlite"):
        Journal(path)
