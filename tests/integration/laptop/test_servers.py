"""The embedded servers: what they keep, refuse and survive."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis
import sqlalchemy as sa

from core.errors import TransientError
from laptop.servers import EmbeddedPostgres, EmbeddedRedis

_STARTER = """
import os, secrets, sys, time
from pathlib import Path
from laptop.servers import EmbeddedPostgres, EmbeddedRedis
if len(sys.argv) > 3:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[3]))
kind = {"postgres": EmbeddedPostgres, "redis": EmbeddedRedis}[sys.argv[1]]
print(kind(Path(sys.argv[2])).start(), flush=True)
time.sleep(600)
"""


def _started_elsewhere(kind: str, folder: Path, *user: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _STARTER, kind, str(folder), *user], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_every_driver_reaches_a_database_by_the_url(postgres_server: EmbeddedPostgres, postgres_url: str) -> None:
    for driver in ("psycopg", "psycopg2"):
        engine = sa.create_engine(sa.make_url(postgres_url).set(drivername=f"postgresql+{driver}"))
        with engine.connect() as connection:
            assert str(connection.scalar(sa.text("SELECT current_database()"))).startswith("test_")
        engine.dispose()
    assert postgres_server.create_database("kept") == postgres_server.create_database("kept")


def test_data_outlives_a_stop(server_folder: Path) -> None:
    with EmbeddedPostgres(server_folder / "postgres", durable=False) as postgres:
        url = postgres.create_database("core")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS x")
    assert not postgres.running()
    with postgres, psycopg.connect(url) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == (7,)

    with EmbeddedRedis(server_folder / "redis") as server, redis.Redis.from_url(server.url) as client:
        client.set("x", 7)
    with server, redis.Redis.from_url(server.url) as client:
        assert client.get("x") == b"7"


def test_a_folder_path_too_long_for_a_socket_is_no_obstacle(server_folder: Path) -> None:
    folder = server_folder / ("long " * 20)
    with EmbeddedRedis(folder / "redis") as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
    with EmbeddedPostgres(folder / "postgres", durable=False) as postgres:
        psycopg.connect(postgres.url("postgres")).close()


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_second_start_in_the_same_folder_is_refused(kind: str, server_folder: Path) -> None:
    process, _ = _started_elsewhere(kind, server_folder)
    server = (EmbeddedPostgres if kind == "postgres" else EmbeddedRedis)(server_folder)
    try:
        assert server.running()
        with pytest.raises(TransientError, match="LAPTOP_SERVER_INUSE"):
            server.start()
        server.stop()
        assert not server.running()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_the_server_ends_with_a_killed_starter_and_starts_again(kind: str, server_folder: Path) -> None:
    process, url = _started_elsewhere(kind, server_folder)
    process.kill()
    process.wait()
    server = (EmbeddedPostgres if kind == "postgres" else EmbeddedRedis)(server_folder)
    with server:
        assert server.running()
    assert url.startswith("postgresql://" if kind == "postgres" else "unix://")


def test_a_killed_server_is_told_from_one_that_recovers(server_folder: Path) -> None:
    with EmbeddedPostgres(server_folder / "postgres", durable=False) as postgres:
        with psycopg.connect(postgres.url("postgres")) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        postgres.wait_ready()
        assert postgres.create_database("core")
        pid = int((server_folder / "postgres" / "server.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        for call in (postgres.check, postgres.wait_ready, lambda: postgres.drop_database("core")):
            with pytest.raises(TransientError, match=r"(?s)LAPTOP_SERVER_LOST.*ended with -9.*server\.log"):
                call()
    with postgres:
        assert postgres.running()


def test_a_server_whose_last_process_outlives_it_is_stopped(server_folder: Path) -> None:
    with EmbeddedRedis(server_folder) as server:
        pid = int((server_folder / "server.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with (server_folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held = subprocess.Popen(["sleep", "1"], pass_fds=(lock.fileno(),))
        assert server.running()
        server.stop()
        assert not server.running()
        held.wait()


def test_a_server_that_does_not_come_up_names_its_log(server_folder: Path) -> None:
    folder = server_folder / "redis"
    (folder / "redis.sock").mkdir(parents=True)
    with pytest.raises(TransientError, match=r"(?s)LAPTOP_SERVER_DOWN.*server\.log"):
        EmbeddedRedis(folder).start()
    assert not EmbeddedRedis(folder).running()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_starts_the_servers_too(server_folder: Path) -> None:
    server_folder.chmod(0o711)
    home = server_folder / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    for kind in ("postgres", "redis"):
        process, url = _started_elsewhere(kind, home / kind, "65534")
        assert "://" in url
        process.send_signal(signal.SIGTERM)
        process.wait()
        deadline = time.monotonic() + 20
        while EmbeddedRedis(home / kind).running() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not EmbeddedRedis(home / kind).running()
