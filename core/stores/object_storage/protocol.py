"""What the archive asks of an object store; any store that does this can hold it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing shows it; `modified` is the store's clock, in UTC."""

    key: str
    size: int
    modified: datetime.datetime


class ObjectStorage(Protocol):
    """Objects by key. A reader sees an object whole, old or new, never half of one.

    Every method may be called from several threads, and raises TransientError where the store does not answer and
    InputError where it refuses the caller.
    """

    @property
    def name(self) -> str:
        """The store in words, without secrets: for messages, and to tell one store from another."""

    def get(self, key: str) -> bytes | None:
        """The object's bytes, None where there is none."""

    def put(self, key: str, content: bytes) -> None:
        """Store an object, over an earlier one. Where this fails, the object is as it was, or all of `content`."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects whose keys begin with `prefix` and a slash, in no order."""

    def delete(self, key: str) -> None:
        """Remove an object. Harmless when there is none."""

    def size(self, key: str) -> int | None:
        """The object's size in bytes, None where there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
