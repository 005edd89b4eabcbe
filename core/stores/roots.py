"""Where everything lives on disk: the storage roots of this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.config.ml_core_storage import MlCoreStorage


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
