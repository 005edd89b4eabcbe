"""environment.yaml: what differs between dev, stg and prod: runner, servers, secrets (SPEC ORC-3, SEC-1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from core.config.ml_core_storage import RelativeRoot
from core.config.model import ConfigModel, Text

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]


def _pinned(image: str) -> str:
    if image.endswith(":latest"):
        raise ValueError("an image tag must be pinned, not 'latest'")
    return image


Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9./_-]*:[A-Za-z0-9._-]+$"), AfterValidator(_pinned)]


class Signing(ConfigModel):
    """Key pair of the artifact bundle, as files below ARCHIVE_PATH or mounted secrets."""

    private_key: RelativeRoot
    public_key: RelativeRoot


class DockerRunner(ConfigModel):
    image: Image
    network: Text
    memory_limit: Annotated[str, StringConstraints(pattern=r"^\d+[mg]$")]


class Environment(ConfigModel):
    name: Literal["dev", "stg", "prod"]
    runner: Literal["process", "docker"]
    docker: DockerRunner
    servers: Literal["embedded", "external"]
    required_variables: tuple[VariableName, ...]
    signing: Signing
    alert_recipient: Text
    retrain_paused: Annotated[bool, Field(description="DAGs start paused; a person unpauses them")]
