"""environment.yaml: what differs between dev, stg and prod: runner, servers, secrets (SPEC ORC-3, SEC-1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from core.config.ml_core_storage import RelativeRoot
from core.config.model import ConfigModel, PositiveFloat, PositiveInt, Text

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]


def _pinned(image: str) -> str:
    if image.endswith(":latest"):
        raise ValueError("an image tag must be pinned, not 'latest'")
    return image


Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9./_-]*:[A-Za-z0-9._-]+$"), AfterValidator(_pinned)]


class Signing(ConfigModel):
    """Key pair of the artifact bundle, as files below ARCHIVE_PATH."""

    private_key: RelativeRoot
    public_key: RelativeRoot

    @property
    def folders(self) -> frozenset[str]:
        """The folders the keys lie in, relative to ARCHIVE_PATH; "." where one lies in none."""
        return frozenset(key.rpartition("/")[0] or "." for key in (self.private_key, self.public_key))


Size = Annotated[str, StringConstraints(pattern=r"^\d+[mg]$")]
VolumeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
UserAndGroup = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*:[1-9]\d*$")]
"""Numbers, neither of them root's."""


class DockerVolumes(ConfigModel):
    """Named volumes of a task's container. Only the archive can be written; with s3 an unnamed one is in its place."""

    archive: VolumeName
    keys: VolumeName
    config: VolumeName
    secrets: VolumeName


class DockerRunner(ConfigModel):
    """How a task runs as a container: `cpus` in cores, `tmp_size` that of its only writable folder, /tmp."""

    image: Image
    network: Text
    memory_limit: Size
    tmp_size: Size
    cpus: PositiveFloat
    pids_limit: PositiveInt
    user: UserAndGroup
    volumes: DockerVolumes


class Pool(ConfigModel):
    """An Airflow pool and how many tasks it lets run at once."""

    name: Text
    slots: PositiveInt


class Pools(ConfigModel):
    """The pool that bounds each kind of work."""

    data: Pool
    training: Pool
    judging: Pool
    publishing: Pool
    control: Pool


class PublishApproval(ConfigModel):
    """Whether a person has to approve before an approved model is published; silence for so long means no."""

    required: bool
    timeout_minutes: PositiveInt


ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Bytes = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*[MG]i$")]


class Cpu(ConfigModel):
    """Thousandths of a processor: what the scheduler sets aside, and what the task never exceeds."""

    request_milli: PositiveInt
    limit_milli: PositiveInt


class ConfigMaps(ConfigModel):
    """Names of the ConfigMaps that hold the files of configs/base and of configs/envs/<name>."""

    base: ObjectName
    environment: ObjectName


class KubernetesRunner(ConfigModel):
    """Pods of tasks; read where `runner` is kubernetes (docs/kubernetes.md)."""

    image: Image
    namespace: ObjectName
    service_account: ObjectName
    archive_claim: Annotated[ObjectName, Field(description="PersistentVolumeClaim of ARCHIVE_PATH")]
    config_maps: ConfigMaps
    secret: Annotated[ObjectName, Field(description="Secret with one key a variable, e.g. POSTGRES_URL")]
    cpu: Cpu
    memory: Annotated[Bytes, Field(description="request and limit: what a pod may use is set aside for it")]
    tmp: Annotated[Bytes, Field(description="size of /tmp; a pod that exceeds it is evicted")]
    schedule_seconds: Annotated[PositiveInt, Field(description="longest wait for a node with room")]
    start_seconds: Annotated[PositiveInt, Field(description="longest wait for image and volumes on that node")]
    stop_seconds: Annotated[PositiveInt, Field(description="from the request to end to the kill")]


class Environment(ConfigModel):
    name: Literal["dev", "stg", "prod"]
    runner: Literal["process", "docker", "kubernetes"]
    docker: DockerRunner
    kubernetes: KubernetesRunner
    pools: Pools
    publish_approval: PublishApproval
    servers: Literal["embedded", "external"]
    required_variables: tuple[VariableName, ...]
    signing: Signing
    alert_recipient: Text
    retrain_paused: Annotated[bool, Field(description="DAGs start paused; a person unpauses them")]
