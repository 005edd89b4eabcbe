"""Deletes what no folder names any more."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.stores.object_storage.locks import StorageLocks
from core.stores.object_storage.protocol import StoredObject
from core.stores.object_storage.trees import TreeStore, blob_key


@dataclass(frozen=True)
class Swept:
    """What a sweep found: trees and blobs in all, blobs past the grace period that no tree names, and their bytes."""

    trees: int
    blobs: int
    unnamed: int
    unnamed_bytes: int


def sweep(
    trees: TreeStore,
    locks: StorageLocks,
    *,
    grace: datetime.timedelta,
    now: datetime.datetime,
    delete: bool,
    transfers: int,
) -> Swept:
    """Count, and with `delete` delete, blobs that no tree names and that were stored before `now` - `grace`.

    Nobody fetches or stores meanwhile. The grace period is for a task that lost its locks, with PostgreSQL, between its
    blobs and its manifests.

    Raises:
        InputError: a manifest cannot be read; nothing is deleted.
        TransientError: the store or PostgreSQL does not answer; what was deleted was named by no tree.
    """
    with locks.sweeping(), ThreadPoolExecutor(transfers) as pool:
        folders = trees.all_folders()
        named = {blob_key(file.sha256) for manifest in pool.map(trees.read, folders) for file in manifest.values()}
        blobs = list(trees.blobs())
        unnamed = [blob for blob in blobs if blob.key not in named and blob.modified < now - grace]
        if delete:
            _delete(trees, unnamed, pool)
    return Swept(len(folders), len(blobs), len(unnamed), sum(blob.size for blob in unnamed))


def _delete(trees: TreeStore, blobs: list[StoredObject], pool: ThreadPoolExecutor) -> None:
    for _ in pool.map(trees.objects.delete, [blob.key for blob in blobs]):
        pass
