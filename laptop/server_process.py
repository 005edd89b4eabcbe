"""A server process that belongs to a folder: one at a time, ended with the process that asked for it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from core.errors import InputError, TransientError

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_SOCKET_PATH_BYTES: Final = 100
_PR_SET_PDEATHSIG: Final = 1
_LOG_TAIL_BYTES: Final = 2000


class ServerProcess:
    """One child process whose identity is a folder.

    A lock on ``<folder>/lock`` is held by the server itself, so a second start in the same folder is refused for as
    long as the server lives, and ``stop`` works from any process that knows the folder. On Linux the kernel ends the
    server when the thread that started it dies, however it dies: start from the main thread.
    """

    def __init__(self, name: str, folder: Path, stop_signal: signal.Signals) -> None:
        self.name = name
        self.folder = folder.absolute()
        self.log = self.folder / "server.log"
        self._stop_signal = stop_signal
        self._lock_file = self.folder / "lock"
        self._pid_file = self.folder / "server.pid"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], ready: Callable[[], str | None], user: str | None) -> None:
        """Run `command` until `ready()` returns None; it returns what is still missing otherwise.

        Raises TransientError when the folder's server already runs or does not come up in time.
        """
        lock = self._lock(wait_seconds=STOP_SECONDS)
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    command,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(lock,),
                    user=user,
                    group=pwd.getpwnam(user).pw_gid if user else None,
                    extra_groups=[] if user else None,
                    preexec_fn=end_with_parent(self._stop_signal),  # noqa: PLW1509 - only the child can ask for it
                )
        except OSError as error:
            raise InputError(
                "LAPTOP_SERVER_UNSTARTABLE",
                f"{self.name} cannot be started: {error}",
                where=command[0],
                remedy="install the laptop dependencies again, on a disk that allows running programs",
            ) from error
        finally:
            os.close(lock)
        self._pid_file.write_text(f"{self._process.pid} {os.getpid()}\n")
        self.wait_ready(ready)

    def check(self) -> None:
        """Raise TransientError where the server this object started has ended by itself."""
        process = self._process
        if process is not None and process.poll() is None:
            return
        ended = f"ended with {process.returncode}" if process is not None else "does not run"
        raise TransientError(
            "LAPTOP_SERVER_LOST",
            f"{self.name} {ended}. Its log ends: {self._log_tail()}",
            where=str(self.log),
            remedy="read the log, free memory or disk space, and start again",
        )

    def stop(self) -> None:
        """End the folder's server, whoever started it. Nothing to do when none runs."""
        if not self.running():
            return
        process, self._process = self._process, None
        pid = process.pid if process is not None else self._recorded()[0]
        deadline = time.monotonic() + STOP_SECONDS
        _signal(pid, self._stop_signal)
        while not self._ended(process):
            if time.monotonic() > deadline:
                _signal(pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(_POLL_SECONDS)
        self._pid_file.unlink(missing_ok=True)

    def running(self) -> bool:
        """Whether a server holds the folder."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if not self._lock_file.exists():
            return False
        try:
            os.close(self._lock(wait_seconds=0.0))
        except TransientError:
            return True
        return False

    def _ended(self, process: subprocess.Popen[bytes] | None) -> bool:
        if process is not None:
            process.poll()
        return not self.running()

    def wait_ready(self, ready: Callable[[], str | None]) -> None:
        """Wait until `ready()` returns None. Raises TransientError, and stops the server, where it does not in time."""
        process = self._process
        if process is None:
            raise RuntimeError("start() has not run")
        deadline = time.monotonic() + START_SECONDS
        while (missing := ready()) is not None:
            if process.poll() is not None:
                missing = f"it exited with {process.returncode}"
            elif time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                continue
            tail = self._log_tail()
            self.stop()
            raise TransientError(
                "LAPTOP_SERVER_DOWN",
                f"{self.name} did not come up: {missing}. Its log ends: {tail}",
                where=str(self.log),
                remedy="read the log, free memory or disk space, and start again",
            )

    def _lock(self, wait_seconds: float) -> int:
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() < deadline and self._orphaned():
                    time.sleep(_POLL_SECONDS)
                    continue
                os.close(descriptor)
                raise TransientError(
                    "LAPTOP_SERVER_INUSE",
                    f"{self.name} already runs in this folder",
                    where=str(self.folder),
                    remedy="stop the other run (make stop) or give this one another STATE folder",
                ) from error
            return descriptor

    def _orphaned(self) -> bool:
        """Whether the server holding the folder has lost the process that started it, and so is about to end."""
        try:
            server, starter = self._recorded()
            status = Path(f"/proc/{server}/stat").read_text()
        except (OSError, ValueError):
            return True
        return int(status.rpartition(")")[2].split()[1]) != starter

    def _recorded(self) -> tuple[int, int]:
        """Process ids of the server and of the process that started it."""
        server, starter = self._pid_file.read_text().split()
        return int(server), int(starter)

    def _log_tail(self) -> str:
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()


def socket_folder(folder: Path, socket_name: str) -> Path:
    """`folder`, or a short stand-in in the system's temporary folder when a socket path there would be too long."""
    if len(os.fsencode(folder / socket_name)) <= _SOCKET_PATH_BYTES:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ml-assets-core-{os.geteuid()}-{digest}"


def make_private(folder: Path, user: str | None) -> None:
    """Create `folder` with mode 0700, owned by `user` if given. Raises InputError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        folder.chmod(0o700)
    except OSError as error:
        raise InputError(
            "LAPTOP_FOLDER_UNUSABLE",
            f"a server's folder cannot be made: {error.strerror}",
            where=str(folder),
            remedy="give this run a STATE folder you can write to, or remove what another user left there",
        ) from error


def _signal(pid: int, number: signal.Signals) -> None:
    """A server that was killed is gone, while processes of its own may hold its folder a moment longer."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end_with_parent(with_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child calls to be ended when the thread that started it dies; None where the system has no such thing."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(with_signal))

    return ask
