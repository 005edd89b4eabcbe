"""One writer at a time in the lake, or several that only prepare what one of them will write."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import TransientError
from core.stores.files import disk_errors

LOCK = ".lock"


@contextmanager
def exclusive_lock(root: Path, holder: str, *, wait: bool) -> Iterator[None]:
    """Hold the lake's lock; the kernel frees it when the process ends, however it ends.

    Args:
        root: canonical_root.
        holder: who holds it, in words, for the error another process sees.
        wait: wait for the present holder to finish; otherwise fail at once.

    Raises:
        TransientError: another process holds it and `wait` is false, or the disk is full.
    """
    with _lock(root, holder, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
        yield


@contextmanager
def shared_lock(root: Path, holder: str) -> Iterator[None]:
    """Hold the lake's lock together with others that share it; nobody holds it alone meanwhile.

    Raises as `exclusive_lock` does without waiting.
    """
    with _lock(root, holder, fcntl.LOCK_SH | fcntl.LOCK_NB):
        yield


@contextmanager
def _lock(root: Path, holder: str, mode: int) -> Iterator[None]:
    path = root / LOCK
    with disk_errors(path):
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, mode)
        except BlockingIOError as error:
            present = os.pread(handle, 200, 0).decode(errors="replace").strip()
            raise TransientError(
                "LAKE_LOCK_HELD",
                f"another process writes to the lake: {present or 'it has not said who it is'}",
                where=str(path),
                remedy="let it finish, then run the same command again",
            ) from error
        with disk_errors(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{holder}, process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
