"""Sweeping deletes what no folder names, and nothing a folder names."""

from __future__ import annotations

import datetime

import pytest

from core.errors import InputError
from core.stores.object_storage.locks import StorageLocks
from core.stores.object_storage.s3 import S3Storage
from core.stores.object_storage.sweep import Swept, sweep
from core.stores.object_storage.trees import TreeStore, blob_key
from tests.integration.storage.mirrors import stored

_HOUR = datetime.timedelta(hours=1)


def _sweep(objects: S3Storage, postgres_url: str, *, hours_from_now: int, delete: bool) -> Swept:
    now = datetime.datetime.now(datetime.UTC) + hours_from_now * _HOUR
    locks = StorageLocks(postgres_url, objects.name)
    return sweep(TreeStore(objects), locks, grace=_HOUR, now=now, delete=delete, transfers=3)


def test_only_unnamed_contents_past_the_grace_period_are_deleted(objects: S3Storage, storage_url: str) -> None:
    trees = TreeStore(objects)
    old, new, shared = (trees.store(content) for content in (b"old", b"new", b"shared"))
    trees.write("models/V", {"a": old, "b": shared})
    trees.write("shared/V", {"b": shared})
    trees.write("models/V", {"a": new})
    assert _sweep(objects, storage_url, hours_from_now=0, delete=True) == Swept(2, 3, 0, 0)
    assert _sweep(objects, storage_url, hours_from_now=2, delete=False) == Swept(2, 3, 1, 3)
    assert objects.exists(blob_key(old.sha256))
    assert _sweep(objects, storage_url, hours_from_now=2, delete=True) == Swept(2, 3, 1, 3)
    assert not objects.exists(blob_key(old.sha256))
    assert stored(objects) == {"models/V": {"a": b"new"}, "shared/V": {"b": b"shared"}}


def test_nothing_is_deleted_where_a_manifest_cannot_be_read(objects: S3Storage, storage_url: str) -> None:
    trees = TreeStore(objects)
    named = trees.store(b"named")
    objects.put("trees/models/V.json", b"{")
    with pytest.raises(InputError, match="STORAGE_TREE_UNREADABLE"):
        _sweep(objects, storage_url, hours_from_now=2, delete=True)
    assert objects.exists(blob_key(named.sha256))
