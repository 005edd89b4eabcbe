"""Exclusion between the machines that share an object store: advisory locks in PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from core.postgres import database_errors, open_lock_engine

_BLOBS: Final = "blobs"


class StorageLocks:
    """Locks of one store. PostgreSQL lets go of them when the process that holds them dies.

    A root is locked while its references are read or replaced, which takes a moment; blobs travel outside the lock.

    Every method raises TransientError where PostgreSQL does not answer.
    """

    def __init__(self, postgres_url: str, store: str) -> None:
        """`store` tells the stores on one database apart: ObjectStorage.name."""
        self._engine = open_lock_engine(postgres_url)
        self._store = _number(store)

    @contextmanager
    def reading(self, root: str) -> Iterator[None]:
        """No reference below `root` is replaced meanwhile."""
        with self._held(sa.func.pg_advisory_lock_shared, root):
            yield

    @contextmanager
    def writing(self, root: str) -> Iterator[None]:
        """No one else reads or replaces references below `root` meanwhile."""
        with self._held(sa.func.pg_advisory_lock, root):
            yield

    @contextmanager
    def using(self) -> Iterator[None]:
        """No blob is swept away meanwhile."""
        with self._held(sa.func.pg_advisory_lock_shared, _BLOBS):
            yield

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """No one fetches or stores meanwhile."""
        with self._held(sa.func.pg_advisory_lock, _BLOBS):
            yield

    @contextmanager
    def _held(self, lock: Callable[..., sa.Function[object]], name: str) -> Iterator[None]:
        with database_errors(self._engine.url):
            session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with session:
            with database_errors(self._engine.url):
                session.execute(sa.select(lock(self._store, _number(name))))
            yield


def _number(name: str) -> int:
    """A signed 32-bit key of PostgreSQL for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big", signed=True)
