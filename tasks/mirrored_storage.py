"""The archive of a task whose storage backend is s3: a local copy of what the task needs of the store."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from core.errors import InputError
from core.stores.files import read_json, write_json
from core.stores.lake_lock import exclusive_lock
from core.stores.object_storage.layout import Layout, is_hidden
from core.stores.object_storage.locks import StorageLocks
from core.stores.object_storage.mirror import Mirror
from core.stores.object_storage.s3 import S3Address, S3Storage
from core.stores.object_storage.trees import TreeStore
from tasks.context import TaskContext

MARK: Final = ".mirror.json"
_QUIET_SECONDS: Final = 2.0


class MirroredStorage:
    """Fetches folders and pushes what became of them. The store is asked for the first time when a folder is."""

    def __init__(self, context: TaskContext, task: str, held: ExitStack) -> None:
        self._context, self._task, self._held = context, task, held
        self._layout = Layout.of(context.settings.ml_core_storage)
        self._mirror: Mirror | None = None

    def pull(self, *folders: Path) -> None:
        """Fetch folders; one outside the mirrored roots is none of the store's."""
        scopes = [scope for folder in folders if (scope := self._scope(folder)) is not None]
        if scopes:
            self._open().pull(*scopes)

    def begin(self, folder: Path) -> None:
        """Begin a folder to which the task only adds."""
        scope = self._scope(folder)
        if scope is not None:
            self._open().begin(scope)

    def flush(self, folder: Path) -> None:
        """Push a folder now: what follows tells others that it is there."""
        scope = self._scope(folder)
        if scope is not None:
            self._open().push(scope)

    def push(self) -> None:
        """Push everything the task wrote or deleted."""
        if self._mirror is not None:
            self._mirror.push()

    def upload(self) -> None:
        """Push everything a local archive holds, and make it a copy of the store."""
        mirror, archive = self._connect(), self._context.roots.archive
        if copy_of(archive) is not None:
            require_copy(archive, self._layout, mirror.store)
        for root in self._layout.roots:
            mirror.take_over(root.folder)
        mirror.push()
        write_json(archive / MARK, {"store": mirror.store})

    def _scope(self, folder: Path) -> str | None:
        archive = self._context.roots.archive
        if not folder.is_relative_to(archive):
            return None
        path = folder.relative_to(archive)
        mirrored = self._layout.root_of(path.as_posix()) is not None and not is_hidden(path)
        return path.as_posix() if mirrored else None

    def _open(self) -> Mirror:
        if self._mirror is None:
            archive = self._context.roots.archive
            mirror = self._connect()
            require_copy(archive, self._layout, mirror.store)
            self._mirror = mirror
        return self._mirror

    def _connect(self) -> Mirror:
        """A mirror of the archive, which no other task of this machine uses meanwhile."""
        context, archive = self._context, self._context.roots.archive
        trees = open_store(context)
        self._held.enter_context(exclusive_lock(archive, self._task, wait=True))
        locks = StorageLocks(context.variables.postgres_url, trees.objects.name)
        transfers = context.settings.ml_core_storage.s3.transfers
        return Mirror(archive, self._layout, trees, locks, transfers, _Told(context))


class _Told:
    """Transfers that take longer than a moment, as the task's progress."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self._what, self._since = "", 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what, self._since = what, time.monotonic()
        if time.monotonic() - self._since >= _QUIET_SECONDS:
            self._context.progress.advance(done, total, f"bytes {what}")
        if done == total:
            self._what = ""


def open_store(context: TaskContext) -> TreeStore:
    """The store S3_… variables name. Raises InputError where it refuses, TransientError where it does not answer."""
    address = S3Address.from_variables(context.variables.others)
    return TreeStore(S3Storage(address, context.settings.ml_core_storage.s3))


def copy_of(archive: Path) -> str | None:
    """The store a local archive is a copy of, None where it is none."""
    mark = archive / MARK
    return str(read_json(mark)["store"]) if mark.is_file() else None


def require_copy(archive: Path, layout: Layout, store: str) -> None:
    """Make an empty archive a copy of a store: what the store does not have is deleted from it from then on.

    Raises InputError where it holds files that come from elsewhere.
    """
    found = copy_of(archive)
    if found == store:
        return
    if found is not None or any(_holds_files(archive / root.folder) for root in layout.roots):
        raise InputError(
            "STORAGE_WORKSPACE_FOREIGN",
            f"the folder holds files of {found or 'a local archive'}; fetching {store} into it would delete them",
            where=str(archive),
            remedy="let ARCHIVE_PATH name an empty folder; `python -m tasks storage upload` takes one to the store",
        )
    write_json(archive / MARK, {"store": store})


def _holds_files(folder: Path) -> bool:
    return any(path.is_file() and not is_hidden(path.relative_to(folder)) for path in folder.rglob("*"))
