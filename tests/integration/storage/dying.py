"""A store whose user is killed at one of its operations."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from core.stores.object_storage.protocol import ObjectStorage, StoredObject


class KilledError(BaseException):
    """What ends a process: nobody handles it."""


class DyingUser:
    """A store as a process sees it that is killed before its operation number `left`; None lets it live."""

    def __init__(
        self, objects: ObjectStorage, left: int | None, *, counted: tuple[str, ...] = ("put", "delete")
    ) -> None:
        self._objects, self._left, self._counted = objects, left, counted
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._objects.name

    def get(self, key: str) -> bytes | None:
        self._count("get")
        return self._objects.get(key)

    def put(self, key: str, content: bytes) -> None:
        self._count("put")
        self._objects.put(key, content)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        self._count("list")
        return self._objects.list(prefix)

    def delete(self, key: str) -> None:
        self._count("delete")
        self._objects.delete(key)

    def size(self, key: str) -> int | None:
        self._count("exists")
        return self._objects.size(key)

    def exists(self, key: str) -> bool:
        self._count("exists")
        return self._objects.exists(key)

    def _count(self, operation: str) -> None:
        with self._lock:
            if self._left is None or operation not in self._counted:
                return
            if self._left == 0:
                raise KilledError(operation)
            self._left -= 1
