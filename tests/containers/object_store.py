"""An S3 endpoint as a container on a stack's network, and what its bucket holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from compose.engine import has_image
from compose.images import build
from compose.stack import REPOSITORY, version
from core.config.loader import load_settings
from core.stores.object_storage.s3 import S3Address, S3Storage
from core.stores.object_storage.trees import TreeStore
from laptop.stack import free_ports
from tests.containers.running_stack import RunningStack, engine, until

ALIAS: Final = "object-store"
PORT: Final = 9000
BUCKET: Final = "core"
KEYS: Final = {"s3_access_key_id": "scale-tests", "s3_secret_access_key": "scale-tests-secret"}
IMAGE: Final = f"ml-assets-core/tasks-tests:{version()}"
"""Holds moto, which the shipped images do not."""


@dataclass(frozen=True)
class ObjectStore:
    """The store of one stack, in memory; on this machine it answers at `port`."""

    stack: RunningStack
    port: int = field(default_factory=lambda: free_ports(1)[0])

    def give_address(self) -> None:
        """Name it in the stack's secrets before the stack comes up."""
        self.stack.give({"s3_endpoint_url": f"http://{ALIAS}:{PORT}", "s3_bucket": BUCKET, **KEYS})

    def start(self) -> None:
        if not has_image(IMAGE):
            build(["tasks"], print, target="tests", tag=IMAGE)
        program = ["python", "-m", "tests.fixtures.s3_server", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104
        words = ["--detach", "--rm", "--name", self._name, "--network", self.stack.name, "--network-alias", ALIAS]
        words += ["--publish", f"127.0.0.1:{self.port}:{PORT}", "--workdir", "/srv"]
        words += ["--volume", f"{REPOSITORY}/tests:/srv/tests:ro", "--entrypoint", program[0], IMAGE]
        engine("run", *words, *program[1:], "--bucket", BUCKET)
        until("the object store", lambda: '"url"' in engine("logs", self._name), 60)

    def stop(self) -> None:
        """Harmless where it does not run."""
        engine("rm", "--force", self._name, check=False)

    def trees(self) -> TreeStore:
        """What the bucket holds, read from this machine."""
        settings = load_settings(REPOSITORY / "configs", "dev").ml_core_storage.s3
        address = S3Address(f"http://127.0.0.1:{self.port}", BUCKET, *KEYS.values())
        return TreeStore(S3Storage(address, settings))

    @property
    def _name(self) -> str:
        return f"{self.stack.name}-{ALIAS}"
