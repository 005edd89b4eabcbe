"""Builds the images and says how large they are."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Final

from compose.engine import docker, has_image
from compose.stack import REPOSITORY, version
from core.errors import InputError
from core.stores.code_version import code_hash

IMAGES: Final[Mapping[str, str]] = {
    "tasks": "images/tasks/Dockerfile",
    "airflow": "images/airflow/Dockerfile",
    "engine-proxy": "images/engine-proxy/Dockerfile",
}
MEGABYTE: Final = 1_000_000


def image(name: str) -> str:
    """Full name with its tag."""
    return f"ml-assets-core/{name}:{version()}"


def missing_images() -> list[str]:
    """Images the engine does not hold yet."""
    return [name for name in IMAGES if not has_image(image(name))]


def build(names: list[str], say: Callable[[str], None], *, target: str | None = None, tag: str | None = None) -> None:
    """Build images of this working tree. Raises InputError where a build fails; its output has said why.

    Args:
        names: which of IMAGES.
        say: told what is built and how large it became.
        target, tag: another stage of the Dockerfile, under another name.
    """
    code = code_hash(REPOSITORY)
    for name in names:
        started, wanted = time.monotonic(), tag or image(name)
        say(f"Building {wanted} …")
        command = ["docker", "build", "--file", IMAGES[name], "--tag", wanted]
        command += ["--build-arg", f"CODE_HASH={code}", "--build-arg", f"VERSION={version()}"]
        command += ["--target", target] if target else []
        done = subprocess.run([*command, "."], cwd=REPOSITORY, check=False)  # noqa: S603 - our own words
        if done.returncode != 0:
            raise InputError(
                "COMPOSE_IMAGE_BUILD",
                f"the image {wanted} cannot be built",
                where=IMAGES[name],
                remedy="read the end of the build's output above",
            )
        size = int(docker("image", "inspect", "--format", "{{.Size}}", wanted)) // MEGABYTE
        say(f"{wanted}: {size} MB, {time.monotonic() - started:.0f} s")
