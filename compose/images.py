"""Builds the images and says how large they are."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Final

from compose.engine import docker, has_image
from compose.revision import revision
from compose.stack import REPOSITORY, Stack, version
from core.errors import InputError
from core.stores.code_version import code_hash

IMAGES: Final[Mapping[str, str]] = {
    "tasks": "images/tasks/Dockerfile",
    "airflow": "images/airflow/Dockerfile",
    "engine-proxy": "images/engine-proxy/Dockerfile",
}
"""Name → Dockerfile of the images every stack runs."""
METRICS_IMAGES: Final[Mapping[str, str]] = {"prometheus": "images/prometheus/Dockerfile"}
"""Those of the profile `metrics`."""
DOCKERFILES: Final[Mapping[str, str]] = {**IMAGES, **METRICS_IMAGES}
MEGABYTE: Final = 1_000_000
_BASE: Final = "PYTHON_IMAGE"
"""Build argument taken from the environment: a mirror's base image, or one by its digest."""
_BUILDER: Final[Mapping[str, str]] = {"DOCKER_BUILDKIT": "1"}
"""The Dockerfiles mount what a step needs, which Docker 20.10 does only when told."""
_REVISION_LABEL: Final = "org.opencontainers.image.revision"


def image(name: str) -> str:
    """Full name with its tag."""
    return f"ml-assets-core/{name}:{version()}"


def images_of(stack: Stack) -> list[str]:
    """Names of the images of ours the stack runs."""
    return [*IMAGES, *(METRICS_IMAGES if stack.metrics else ())]


def outdated_images(stack: Stack) -> list[str]:
    """Those the engine does not hold, or holds of other code than this working tree's.

    Raises InputError where this code's version cannot be told.
    """
    label = f"{_REVISION_LABEL}={revision()}"
    return [name for name in images_of(stack) if not has_image(image(name), label)]


def build(names: list[str], say: Callable[[str], None], *, target: str | None = None, tag: str | None = None) -> None:
    """Build images of this working tree. Raises InputError where a build fails; its output has said why.

    Args:
        names: which of DOCKERFILES.
        say: told what is built and how large it became.
        target, tag: another stage of the Dockerfile, under another name.
    """
    code, revised = code_hash(REPOSITORY), revision()
    given = [f"{_BASE}={os.environ[_BASE]}"] if _BASE in os.environ else []
    arguments = [f"CODE_HASH={code}", f"REVISION={revised}", f"VERSION={version()}", *given]
    for name in names:
        started, wanted = time.monotonic(), tag or image(name)
        say(f"Building {wanted} …")
        command = ["docker", "build", "--file", DOCKERFILES[name], "--tag", wanted]
        command += [word for argument in arguments for word in ("--build-arg", argument)]
        command += ["--target", target] if target else []
        done = subprocess.run([*command, "."], cwd=REPOSITORY, env={**os.environ, **_BUILDER}, check=False)  # noqa: S603 - our own words
        if done.returncode != 0:
            raise InputError(
                "COMPOSE_IMAGE_BUILD",
                f"the image {wanted} cannot be built",
                where=DOCKERFILES[name],
                remedy="read the end of the build's output above",
            )
        size = int(docker("image", "inspect", "--format", "{{.Size}}", wanted)) // MEGABYTE
        say(f"{wanted}: {size} MB, {time.monotonic() - started:.0f} s")
