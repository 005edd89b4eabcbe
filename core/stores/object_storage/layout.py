"""Which folder of the archive is published as one: a tree (SPEC CAT-1, DATA-4, REG-2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Final

from core.config.ml_core_storage import MlCoreStorage
from core.errors import InputError


@dataclass(frozen=True)
class MirroredRoot:
    """A storage root; every folder `depth` below it is a tree.

    A tree that is `whole` has one author at a time: what another changed meanwhile is a conflict. Otherwise several
    authors may each add or change files of their own. Where one tree speaks of another, the root is `ordered`: trees
    appear one after the other, as they were last written to.
    """

    folder: str
    depth: int
    whole: bool
    ordered: bool


@dataclass(frozen=True)
class Layout:
    """The mirrored roots, in the order in which what was written is published: what is referred to comes first."""

    roots: tuple[MirroredRoot, ...]

    @classmethod
    def of(cls, storage: MlCoreStorage) -> Layout:
        """A month of a symbol, a month of a pair, a bundle, a run's subfolder and the journals are a tree each."""
        return cls(
            (
                MirroredRoot(storage.canonical_root, depth=3, whole=True, ordered=False),
                MirroredRoot(storage.snapshots_root, depth=3, whole=False, ordered=False),
                MirroredRoot(storage.features_root, depth=3, whole=False, ordered=False),
                MirroredRoot(storage.models_root, depth=1, whole=True, ordered=False),
                MirroredRoot(storage.shared_root, depth=1, whole=True, ordered=False),
                MirroredRoot(storage.runs_root, depth=2, whole=False, ordered=True),
                MirroredRoot(storage.journal_root, depth=0, whole=False, ordered=False),
            )
        )

    def root_of(self, folder: str) -> MirroredRoot | None:
        """The root a folder (relative to the archive) is or lies in; None where it is not mirrored."""
        return next((root for root in self.roots if lies_in(folder, root.folder)), None)

    def split(self, file: str) -> tuple[str, str]:
        """The tree of a mirrored file, and the file's name in it, both relative and with slashes."""
        root = self.root_of(file)
        if root is None:
            raise ValueError(f"{file} lies in no mirrored root")
        parts = PurePosixPath(file).relative_to(root.folder).parts
        depth = min(root.depth, len(parts) - 1)
        return "/".join((root.folder, *parts[:depth])), "/".join(parts[depth:])


def lies_in(path: str, folder: str) -> bool:
    """Whether a path is a folder, or below it."""
    return PurePosixPath(path).is_relative_to(folder)


def is_hidden(path: PurePath) -> bool:
    """Whether a part of a relative path begins with a dot: locks, temporary files and unfinished writes."""
    return any(part.startswith(".") for part in path.parts)


_SAFE_LENGTH: Final = 1000


def require_plain(path: str, where: str) -> str:
    """A path from the store, which must stay below the folder it is to be written to, and be visible there.

    Raises:
        InputError: it is absolute, leads upwards, has an empty or a hidden part.
    """
    parts = path.split("/")
    if len(path) > _SAFE_LENGTH or "\\" in path or "\0" in path or any(not p or p.startswith(".") for p in parts):
        raise InputError(
            "STORAGE_TREE_REFUSED",
            f"the object store names a file {path[:200]!r}, which is no place below the archive",
            where=where,
            remedy="find out who wrote this object; delete it, then run the task that writes the folder again",
        )
    return path
