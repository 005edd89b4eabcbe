"""ml_core_storage.yaml: where bars, features, models and runs live (SPEC CAT-1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from core.config.model import ConfigModel

RelativeRoot = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class MlCoreStorage(ConfigModel):
    """Roots are folders below ARCHIVE_PATH, so that no machine path stands in configuration."""

    backend: Literal["local"]
    canonical_root: RelativeRoot
    features_root: RelativeRoot
    snapshots_root: RelativeRoot
    models_root: RelativeRoot
    runs_root: RelativeRoot
    shared_root: RelativeRoot
    journal_root: RelativeRoot
