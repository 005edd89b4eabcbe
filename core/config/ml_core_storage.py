"""ml_core_storage.yaml: where bars, features, models and runs live (SPEC CAT-1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from core.config.model import ConfigModel, Name, NonNegativeInt

RelativeRoot = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class S3Store(ConfigModel):
    """What a deployment does not change about the S3-compatible store; its address comes from S3_… variables."""

    prefix: Annotated[RelativeRoot, Field(description="what every key in the bucket begins with")]
    region: Name
    transfers: Annotated[int, Field(ge=1, le=64, description="objects fetched or stored at once")]
    sweep_grace_hours: NonNegativeInt


class MlCoreStorage(ConfigModel):
    """Roots are folders below ARCHIVE_PATH, so that no machine path stands in configuration."""

    backend: Annotated[
        Literal["local", "s3", "variable"],
        Field(description="variable: STORAGE_BACKEND says which; otherwise that variable may only say the same"),
    ]
    s3: S3Store
    canonical_root: RelativeRoot
    features_root: RelativeRoot
    snapshots_root: RelativeRoot
    models_root: RelativeRoot
    runs_root: RelativeRoot
    shared_root: RelativeRoot
    journal_root: RelativeRoot

    @property
    def roots(self) -> dict[str, str]:
        """All roots by the key that names them."""
        return {name: getattr(self, name) for name in type(self).model_fields if name.endswith("_root")}
