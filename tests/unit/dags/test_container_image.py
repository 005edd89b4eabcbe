"""An image the engine does not hold: built here, pulled, refused, or to be had later."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from docker.errors import APIError

from dags.factory.container_image import pull_missing
from dags.factory.outcome import NOT_STARTED, TRANSIENT
from tests.unit.dags.fake_engine import FakeEngine, refused

IMAGE = "registry.example/core/tasks:1"


@pytest.mark.parametrize("image", ["tasks:1", IMAGE])
def test_an_image_the_engine_holds_is_not_pulled(image: str) -> None:
    engine = FakeEngine()
    engine.held = [image]
    assert pull_missing(engine, "train", image) is None
    assert engine.pulled == []


@pytest.mark.parametrize("image", ["tasks:2", "ml-assets-core/tasks:2", "docker.io/ml-assets-core/tasks:2"])
def test_an_image_without_a_registry_is_built_and_never_pulled(image: str) -> None:
    """Docker Hub would be asked for it, where anybody may have taken the name."""
    engine = FakeEngine()
    engine.pull_answer = [{"status": "Pulling"}]
    failure = pull_missing(engine, "train", image)
    assert failure is not None
    assert failure.exit_code == NOT_STARTED
    assert f"image {image} is not on the engine" in failure.text
    assert "make images" in failure.text
    assert engine.pulled == []


@pytest.mark.parametrize("image", [IMAGE, "localhost/tasks:1"])
def test_an_image_of_a_registry_is_pulled(image: str) -> None:
    engine = FakeEngine()
    engine.pull_answer = [{"status": "Pulling"}, {"status": "Status: Downloaded newer image"}]
    engine.gives = [image]
    assert pull_missing(engine, "train", image) is None
    assert engine.pulled == [image]


@pytest.mark.parametrize(
    "answer",
    [
        refused(404, "manifest for registry.example/core/tasks:1 not found: manifest unknown: manifest unknown"),
        refused(404, "pull access denied for core/tasks, repository does not exist or may require 'docker login'"),
        refused(403, "the engine proxy refuses it: this call is not among those a flow needs"),
        refused(500, "Get https://registry.example/v2/core/tasks/manifests/1: unauthorized: authentication required"),
        refused(500, "Get https://registry.example/v2/core/tasks/manifests/1: no basic auth credentials"),
        [{"status": "Pulling"}, {"error": "no matching manifest for linux/arm64 in the manifest list entries"}],
        [{"status": "Pulling"}],
    ],
)
def test_an_image_its_registry_does_not_give_is_not_asked_for_again(answer: Any) -> None:
    engine = FakeEngine()
    engine.pull_answer = answer
    failure = pull_missing(engine, "train", IMAGE)
    assert failure is not None
    assert (failure.exit_code, failure.retryable) == (NOT_STARTED, False)
    assert f"image {IMAGE} is not on the engine, and its registry does not give it" in failure.text


@pytest.mark.parametrize(
    "answer",
    [
        refused(500, 'Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host'),
        refused(500, 'Get "https://registry.example/v2/": dial tcp 10.0.0.9:5000: connect: connection refused'),
        refused(500, 'Get "https://registry.example/v2/": context deadline exceeded'),
        refused(500, "received unexpected HTTP status: 502 Bad Gateway"),
        refused(503, "No server is available to handle this request."),
        refused(429, "too many requests"),
        [{"status": "Pulling"}, {"error": "toomanyrequests: rate exceeded"}],
        [{"status": "Pulling"}, {"error": "unexpected EOF"}],
    ],
)
def test_a_registry_that_does_not_answer_is_asked_again(answer: Any) -> None:
    engine = FakeEngine()
    engine.pull_answer = answer
    failure = pull_missing(engine, "train", IMAGE)
    assert failure is not None
    assert (failure.exit_code, failure.retryable) == (TRANSIENT, True)
    words = answer.explanation if isinstance(answer, APIError) else answer[-1]["error"]
    assert failure.text == f"image {IMAGE} is not on the engine, and its registry cannot give it now\n{words}"


def test_an_engine_that_goes_away_is_no_missing_image() -> None:
    engine = FakeEngine()
    engine.pull_answer = requests.exceptions.ReadTimeout("60 s")
    with pytest.raises(OSError, match="60 s"):
        pull_missing(engine, "train", IMAGE)
