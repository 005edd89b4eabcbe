"""Where everything lives on disk: the storage roots of this process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from core.config.ml_core_storage import MlCoreStorage
from core.errors import InputError

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class StorageRoots:
    """Absolute folders, all below ARCHIVE_PATH (SPEC CAT-1)."""

    archive: Path
    canonical: Path
    features: Path
    snapshots: Path
    models: Path
    runs: Path
    shared: Path
    journal: Path

    @classmethod
    def below(cls, archive: Path, storage: MlCoreStorage) -> StorageRoots:
        """Roots of `ml_core_storage.yaml` below the folder ARCHIVE_PATH names."""
        return cls(
            archive=archive,
            canonical=archive / storage.canonical_root,
            features=archive / storage.features_root,
            snapshots=archive / storage.snapshots_root,
            models=archive / storage.models_root,
            runs=archive / storage.runs_root,
            shared=archive / storage.shared_root,
            journal=archive / storage.journal_root,
        )


def plain_name(given: str, what: str) -> str:
    """`given`, which is to name a folder of a root; `what` it is, for the message.

    Raises:
        InputError: STORE_NAME_INVALID when it is empty, hidden, or leads out of the root.
    """
    if not _PLAIN.fullmatch(given):
        raise InputError(
            "STORE_NAME_INVALID",
            f"{given!r} is no {what}: letters, digits, '.', '_' and '-', a letter or digit first",
            where=what,
            remedy="give the run id and the model version the catalog task printed",
        )
    return given
