"""The image of a task's container, where the engine does not hold it yet."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from docker import APIClient
from docker.auth import INDEX_NAME, resolve_repository_name
from docker.errors import APIError

from dags.factory.outcome import NOT_STARTED, TRANSIENT, TaskFailure

_LATER: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_REFUSED: Final = re.compile(r"not found|does not exist|denied|unauthorized|no basic auth|no matching manifest", re.I)
"""What a registry says of an image it does not give; the engine reports some of it as a failure of its own."""


def pull_missing(engine: APIClient, task: str, image: str) -> TaskFailure | None:
    """Pull the image unless the engine holds it. One whose name has no registry is built here: Docker Hub is not asked.

    Returns:
        None where the image is there, else why the task cannot start: for good where nobody has the image, or for now
        where the registry did not answer.

    Raises:
        OSError, urllib3.exceptions.HTTPError: the engine failed.
    """
    if engine.images(name=image):
        return None
    missing = f"image {image} is not on the engine"
    if resolve_repository_name(image)[0] == INDEX_NAME:
        text = f"{missing}, and its name has no registry of yours to pull it from: build it with `make images`"
        return TaskFailure(task, NOT_STARTED, text)
    refused, words = _pull(engine, image)
    if engine.images(name=image):
        return None
    if refused:
        text = (
            f"{missing}, and its registry does not give it: build it with `make images`, tag it, and push it\n{words}"
        )
        return TaskFailure(task, NOT_STARTED, text.strip())
    return TaskFailure(task, TRANSIENT, f"{missing}, and its registry cannot give it now\n{words}")


def _pull(engine: APIClient, image: str) -> tuple[bool, str]:
    """Pull the image; whether that was refused, and the engine's words."""
    try:
        words = " ".join(line["error"] for line in engine.pull(image, stream=True, decode=True) if "error" in line)
    except APIError as error:
        words = str(error.explanation or error)
        if error.is_client_error() and error.status_code not in _LATER:
            return True, words
    return not words or bool(_REFUSED.search(words)), words
