"""Mirrors of a store below a test's own folders."""

from __future__ import annotations

from pathlib import Path

from core.config.loader import load_settings
from core.stores.object_storage.layout import Layout, is_hidden
from core.stores.object_storage.locks import StorageLocks
from core.stores.object_storage.mirror import Mirror
from core.stores.object_storage.protocol import ObjectStorage
from core.stores.object_storage.trees import TreeStore
from tests.fixtures.config_tree import CONFIGS

LAYOUT = Layout.of(load_settings(CONFIGS, "dev").ml_core_storage)
Trees = dict[str, dict[str, bytes]]
"""Content by tree and file."""


def mirror(archive: Path, objects: ObjectStorage, postgres_url: str) -> Mirror:
    """What a new task on the machine with this archive has."""
    locks = StorageLocks(postgres_url, objects.name)
    return Mirror(archive, LAYOUT, TreeStore(objects), locks, 3, lambda *_: None)


def stored(objects: ObjectStorage) -> Trees:
    """Everything readers can find in the store; every content is there and is what its name says."""
    trees = TreeStore(objects)
    return {
        folder: {name: trees.fetch(file) for name, file in trees.read(folder).items()} for folder in trees.all_folders()
    }


def local(archive: Path) -> Trees:
    """What stands in the roots of an archive, hidden files aside."""
    found: Trees = {}
    for path in archive.rglob("*"):
        name = path.relative_to(archive)
        if path.is_file() and not is_hidden(name) and LAYOUT.root_of(name.as_posix()) is not None:
            tree, file = LAYOUT.split(name.as_posix())
            found.setdefault(tree, {})[file] = path.read_bytes()
    return found


def write(archive: Path, path: str, content: bytes) -> None:
    target = archive / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_bytes(content)
