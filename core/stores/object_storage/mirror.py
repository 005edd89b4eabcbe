"""Folders of the local archive and trees of an object store, brought to the same content in the direction asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.errors import TransientError
from core.stores.object_storage.layout import Layout, MirroredRoot, lies_in
from core.stores.object_storage.local_files import LocalFiles
from core.stores.object_storage.locks import StorageLocks
from core.stores.object_storage.trees import Manifest, StoredFile, TreeStore

Told = Callable[[str, int, int], None]
"""Told of a transfer: what (`fetched` or `stored`), bytes done, bytes in all."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class _Change:
    """What was done to a tree: its files before, those written since, and the names of those deleted."""

    tree: str
    root: MirroredRoot
    adds: bool
    before: Manifest
    written: Manifest
    deleted: frozenset[str]
    at: int


class Mirror:
    """What one task has fetched of a store, and how the store takes over what the task made of it.

    A scope is a folder relative to the archive: a root, or a folder in one. Everything a task writes must lie in a
    scope that was pulled or begun; nothing else is pushed.
    """

    def __init__(
        self, archive: Path, layout: Layout, trees: TreeStore, locks: StorageLocks, transfers: int, told: Told
    ) -> None:
        self._layout, self._trees, self._locks, self._told = layout, trees, locks, told
        self._transfers = transfers
        self._files = LocalFiles(archive, layout)
        self._scopes: list[str] = []
        self._begun: list[str] = []
        self._before: dict[str, Manifest] = {}

    @property
    def store(self) -> str:
        """The store in words."""
        return self._trees.objects.name

    def pull(self, *scopes: str) -> None:
        """Make local folders what the store holds: what differs is fetched, what the store does not have is deleted.

        A folder pulled before in this task stays as the task left it.

        Raises:
            TransientError: the store, PostgreSQL or the disk does not answer.
            InputError: the store refuses the caller, or holds something that is not what its name says.
        """
        new = {scope: self._root(scope) for scope in scopes if not self._covered(scope)}
        if not new:
            return
        with self._locks.using(), ThreadPoolExecutor(self._transfers) as pool:
            stored: dict[str, Manifest] = {}
            for root in self._layout.roots:
                within = [scope for scope, its_root in new.items() if its_root == root]
                if within:
                    with self._locks.reading(root.folder):
                        found = {tree for trees in pool.map(self._trees.folders, within) for tree in trees}
                        trees = sorted(tree for tree in found if not self._covered(tree))
                        stored |= zip(trees, pool.map(self._trees.read, trees), strict=True)
            wanted: dict[StoredFile, list[tuple[str, str]]] = {}
            for tree, name, file in self._clear(new, stored, pool):
                wanted.setdefault(file, []).append((tree, name))
            self._fetch(wanted, pool)
        self._before |= stored
        self._scopes += new

    def begin(self, scope: str) -> None:
        """Begin a folder whose files are named by their content.

        It is empty here; what is written to it is added to what the store holds, which keeps a file it has.
        """
        if not self._covered(scope):
            with ThreadPoolExecutor(self._transfers) as pool:
                self._clear([scope], {}, pool)
            self._scopes.append(scope)
            self._begun.append(scope)

    def take_over(self, scope: str) -> None:
        """Take a local folder for one that was written just now, all of it."""
        self._scopes.append(scope)

    def push(self, scope: str | None = None) -> None:
        """Publish what was written or deleted in a folder (in all scopes by default): blobs first, references last.

        References go out root by root and, within one, in the order in which the trees were last written to, so that
        whoever reads a reference finds what it speaks of.

        Raises:
            TransientError: STORAGE_TREE_CONFLICT when another task changed the same files meanwhile; the store,
                PostgreSQL or the disk does not answer. Some trees may be published then, each one whole.
            InputError: the store refuses the caller.
        """
        with ThreadPoolExecutor(self._transfers) as pool:
            changes = [change for change in self._changes(pool) if scope is None or lies_in(change.tree, scope)]
            if not changes:
                return
            with self._locks.using():
                self._store(changes, pool)
                for root in self._layout.roots:
                    within = sorted((each for each in changes if each.root == root), key=lambda each: each.at)
                    if within:
                        with self._locks.writing(root.folder):
                            self._publish(within, pool)

    def _covered(self, folder: str) -> bool:
        return any(lies_in(folder, scope) for scope in self._scopes)

    def _root(self, scope: str) -> MirroredRoot:
        root = self._layout.root_of(scope)
        if root is None:
            raise ValueError(f"{scope} lies in no mirrored root")
        return root

    def _clear(
        self, scopes: Iterable[str], stored: Mapping[str, Manifest], pool: ThreadPoolExecutor
    ) -> list[tuple[str, str, StoredFile]]:
        """Delete local files that are not the stored ones; tree, name and content of those that are then missing."""
        local: dict[str, dict[str, StoredFile]] = {}
        for scope in scopes:
            local |= self._files.scan(scope, pool)
        for tree, files in local.items():
            for name, file in files.items():
                if not self._covered(tree) and stored.get(tree, {}).get(name) != file:
                    self._files.drop(tree, name)
        return [
            (tree, name, file)
            for tree, manifest in stored.items()
            for name, file in manifest.items()
            if local.get(tree, {}).get(name) != file
        ]

    def _fetch(self, wanted: Mapping[StoredFile, list[tuple[str, str]]], pool: ThreadPoolExecutor) -> None:
        def fetch(file: StoredFile) -> int:
            content = self._trees.fetch(file)
            for tree, name in wanted[file]:
                self._files.place(tree, name, content, file)
            return file.size

        self._transfer("fetched", wanted, fetch, pool)

    def _changes(self, pool: ThreadPoolExecutor) -> list[_Change]:
        local: dict[str, dict[str, StoredFile]] = {}
        for scope in self._scopes:
            local |= self._files.scan(scope, pool)
        changes: list[_Change] = []
        for tree in sorted({*local, *self._before}):
            before, now = self._before.get(tree, {}), local.get(tree, {})
            written = {name: file for name, file in now.items() if before.get(name) != file}
            deleted = frozenset(before) - frozenset(now)
            if written or deleted:
                at = self._files.changed_at(tree, list(written))
                adds = any(lies_in(tree, scope) for scope in self._begun)
                changes.append(_Change(tree, self._root(tree), adds, before, written, deleted, at))
        return changes

    def _store(self, changes: Iterable[_Change], pool: ThreadPoolExecutor) -> None:
        places = {file: (each.tree, name) for each in changes for name, file in each.written.items()}

        def store(file: StoredFile) -> int:
            path = self._files.path(*places[file])
            if self._trees.store(path.read_bytes()) != file:
                raise RuntimeError(f"{path} was written to while it was stored")
            return file.size

        self._transfer("stored", places, store, pool)

    def _publish(self, changes: list[_Change], pool: ThreadPoolExecutor) -> None:
        """Replace the references of one root, all of them or, where one is in conflict, none."""
        found = pool.map(self._trees.read, [each.tree for each in changes])
        merged = [self._merged(each, current) for each, current in zip(changes, found, strict=True)]
        write = map if changes[0].root.ordered else pool.map
        for _ in write(self._trees.write, [each.tree for each in changes], merged):
            pass
        for each in changes:
            self._before[each.tree] = {**_kept(each.before, each), **each.written}

    def _merged(self, change: _Change, current: Manifest) -> Manifest:
        """The tree as it stands in the store with this change made to it."""
        if change.adds:
            return {**change.written, **current}
        after = {**_kept(change.before, change), **change.written}
        merged = {**_kept(current, change), **change.written}
        own = {*change.written, *change.deleted}
        theirs = {name for name in own if current.get(name) not in {change.before.get(name), after.get(name)}}
        if change.root.whole and current not in (change.before, after):
            theirs = {name for name in {*current, *change.before} if current.get(name) != change.before.get(name)}
        if theirs:
            raise TransientError(
                "STORAGE_TREE_CONFLICT",
                f"another task has changed {', '.join(sorted(theirs)[:5])} of the folder since this one read it",
                where=f"{self.store}, {change.tree}",
                remedy="run the same command again: it starts from what the other task wrote",
            )
        return after if change.root.whole else merged

    def _transfer(
        self, what: str, files: Iterable[StoredFile], move: Callable[[StoredFile], int], pool: ThreadPoolExecutor
    ) -> None:
        """Move files in parallel; the first failure ends it, and what has not begun by then does not begin."""
        running: list[Future[int]] = [pool.submit(move, file) for file in files]
        total, done = sum(file.size for file in files), 0
        try:
            for future in as_completed(running):
                done += future.result()
                self._told(what, done, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _kept(files: Manifest, change: _Change) -> dict[str, StoredFile]:
    return {name: file for name, file in files.items() if name not in change.deleted}
