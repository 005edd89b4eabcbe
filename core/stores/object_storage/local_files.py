"""The local side of a mirror: which files stand where, with which content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path, PurePath

from core.stores.files import disk_errors
from core.stores.object_storage.layout import Layout, is_hidden
from core.stores.object_storage.trees import StoredFile

_Stat = tuple[int, int, int]


class LocalFiles:
    """Files below ARCHIVE_PATH by tree. A file that has not been touched since is not hashed again."""

    def __init__(self, archive: Path, layout: Layout) -> None:
        self._archive, self._layout = archive, layout
        self._known: dict[Path, tuple[_Stat, StoredFile]] = {}

    def path(self, tree: str, name: str) -> Path:
        """Where a file of a tree stands."""
        return self._archive / tree / name

    def scan(self, scope: str, pool: Executor) -> dict[str, dict[str, StoredFile]]:
        """Files in a folder, by tree and name; hidden ones do not count."""
        found = sorted(self._visible(self._archive / scope))
        trees: dict[str, dict[str, StoredFile]] = {}
        for path, file in zip(found, pool.map(self._hashed, found), strict=True):
            tree, name = self._layout.split(path.relative_to(self._archive).as_posix())
            trees.setdefault(tree, {})[name] = file
        return trees

    def changed_at(self, tree: str, names: list[str]) -> int:
        """When the newest of these files was written (ns)."""
        return max((self.path(tree, name).stat().st_mtime_ns for name in names), default=0)

    def place(self, tree: str, name: str, content: bytes, file: StoredFile) -> None:
        """Write a file under a temporary name, then rename it.

        Raises TransientError where the disk refuses. Nothing is flushed: the next pull hashes what it finds.
        """
        path = self.path(tree, name)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, unnamed = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(handle, "wb") as target:
                target.write(content)
            Path(unnamed).chmod(0o644)
            Path(unnamed).replace(path)
        self._known[path] = (_stat(path), file)

    def drop(self, tree: str, name: str) -> None:
        """Delete a file, and the folders it leaves empty."""
        path = self.path(tree, name)
        with disk_errors(path):
            path.unlink()
            for folder in path.parents:
                if folder == self._archive or any(folder.iterdir()):
                    break
                folder.rmdir()

    def _visible(self, folder: Path) -> Iterator[Path]:
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not is_hidden(PurePath(name))]
            yield from (Path(parent, name) for name in names if not is_hidden(PurePath(name)))

    def _hashed(self, path: Path) -> StoredFile:
        stat = _stat(path)
        known = self._known.get(path)
        if known is None or known[0] != stat:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            known = self._known[path] = (stat, StoredFile(digest, stat[1]))
        return known[1]


def _stat(path: Path) -> _Stat:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
