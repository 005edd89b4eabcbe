"""Content-addressed objects and atomic references (docs/storage.md).

blobs/{sha256}        bytes, never changed
trees/{folder}.json   {"file": {"sha256", "size"}, …}: all files of a folder, replaced by one PUT
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import orjson

from core.errors import InputError, TransientError
from core.stores.files import canonical_json
from core.stores.object_storage.layout import require_plain
from core.stores.object_storage.protocol import ObjectStorage, StoredObject

BLOBS: Final = "blobs"
TREES: Final = "trees"
_ENDING: Final = ".json"


@dataclass(frozen=True)
class StoredFile:
    """A file's content: hex SHA-256 and size in bytes."""

    sha256: str
    size: int


Manifest = Mapping[str, StoredFile]
"""The files of a tree by name."""


class TreeStore:
    """Folders in an object store. A reader sees all files of one as they were together, or none."""

    def __init__(self, objects: ObjectStorage) -> None:
        self.objects = objects

    def folders(self, below: str) -> list[str]:
        """Trees that are the folder `below` or lie in it, sorted. Raises InputError for one with an impossible name."""
        found = [stored.key for stored in self.objects.list(f"{TREES}/{below}")]
        if self.objects.exists(_key(below)):
            found.append(_key(below))
        return self._names(found)

    def all_folders(self) -> list[str]:
        """Every tree of the store, sorted."""
        return self._names([stored.key for stored in self.objects.list(TREES)])

    def _names(self, keys: list[str]) -> list[str]:
        names = (key.removeprefix(f"{TREES}/").removesuffix(_ENDING) for key in keys if key.endswith(_ENDING))
        return sorted(require_plain(name, self.objects.name) for name in names)

    def read(self, folder: str) -> Manifest:
        """The files of a tree; none where there is no such tree. Raises InputError where its manifest is unreadable."""
        content = self.objects.get(_key(folder))
        if content is None:
            return {}
        try:
            files = {
                require_plain(name, self._where(folder)): StoredFile(_digest(file["sha256"]), int(file["size"]))
                for name, file in orjson.loads(content).items()
            }
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                "STORAGE_TREE_UNREADABLE",
                f"the manifest of the folder cannot be read: {' '.join(str(error).split())[:200]}",
                where=self._where(folder),
                remedy="delete this object, then run the task that writes the folder again",
            ) from error
        return files

    def write(self, folder: str, files: Manifest) -> None:
        """Publish a tree, in one step; without files it is removed. Its blobs must be there already."""
        if files:
            self.objects.put(_key(folder), canonical_json({name: asdict(file) for name, file in files.items()}))
        else:
            self.objects.delete(_key(folder))

    def blobs(self) -> Iterator[StoredObject]:
        """Every blob; its key is its place in the store."""
        return self.objects.list(BLOBS)

    def store(self, content: bytes) -> StoredFile:
        """Store content, unless it is there whole."""
        file = StoredFile(hashlib.sha256(content).hexdigest(), len(content))
        if self.objects.size(blob_key(file.sha256)) != file.size:
            self.objects.put(blob_key(file.sha256), content)
        return file

    def fetch(self, file: StoredFile) -> bytes:
        """The content of a file.

        Raises:
            InputError: the blob holds other bytes than its name says.
            TransientError: it is not there: it was swept away after the caller lost its locks, or deleted by hand.
        """
        content = self.objects.get(blob_key(file.sha256))
        where = f"{self.objects.name}/{blob_key(file.sha256)}"
        if content is None:
            raise TransientError(
                "STORAGE_BLOB_MISSING",
                "a file that a folder named a moment ago is no longer there",
                where=where,
                remedy="run the same command again; if it stays away, restore the object or run the task that wrote it",
            )
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise InputError(
                "STORAGE_BLOB_ALTERED",
                f"the object's bytes do not have the SHA-256 {file.sha256} it is named by",
                where=where,
                remedy="find out who changed it; delete it, then run the task that wrote the file again",
            )
        return content

    def _where(self, folder: str) -> str:
        return f"{self.objects.name}/{_key(folder)}"


def blob_key(sha256: str) -> str:
    """Where a blob lies in the store."""
    return f"{BLOBS}/{sha256}"


def _key(folder: str) -> str:
    return f"{TREES}/{folder}{_ENDING}"


def _digest(text: str) -> str:
    if len(bytes.fromhex(text)) != hashlib.sha256().digest_size or text != text.lower():
        raise ValueError(f"{text!r} is no SHA-256")
    return text
