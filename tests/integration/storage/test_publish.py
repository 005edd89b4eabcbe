"""Publishing over a store: whoever is told of a version finds its bundle there, whenever the publisher is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from core.stores.bundle_store import CHECKSUMS, CONTENT, open_bundle
from core.stores.object_storage.s3 import S3Storage
from core.stores.object_storage.trees import TreeStore
from core.stores.registry import Registry
from core.stores.signing import SIGNATURE, SigningKeys
from tasks import mirrored_storage
from tasks.context import TaskContext
from tasks.publish import publish_model
from tasks.workspace import workspace
from tests.fixtures.s3_server import S3Server
from tests.integration.publish.judged_runs import judged_run, make_context, version_of
from tests.integration.storage.dying import DyingUser, KilledError

_WHOLE = {*CONTENT, CHECKSUMS, SIGNATURE}


class Publishers:
    """Every publish happens on a machine of its own; all have the same keys."""

    def __init__(self, folder: Path, servers: tuple[str, str], store: dict[str, str]) -> None:
        self.folder, self.servers, self.store = folder, servers, store
        self.count = 0

    @contextmanager
    def machine(self, kept: int = 10) -> Iterator[TaskContext]:
        archive = self.folder / f"machine-{self.count}"
        if self.count:
            shutil.copytree(self.folder / "machine-0" / "keys", archive / "keys")
        self.count += 1
        context = make_context(archive, *self.servers)
        retrain = context.settings.retrain_policy.model_copy(update={"versions_kept": kept})
        variables = replace(context.variables, others={**context.variables.others, **self.store})
        settings = context.settings.model_copy(update={"retrain_policy": retrain})
        with workspace(replace(context, settings=settings, variables=variables), "publish") as inside:
            yield inside


@pytest.fixture
def publishers(tmp_path: Path, registry_url: str, redis_url: str, s3: S3Server, bucket: str) -> Publishers:
    return Publishers(tmp_path, (registry_url, redis_url), s3.environ(bucket))


def test_nobody_is_told_of_a_bundle_that_is_not_stored(
    publishers: Publishers, objects: S3Storage, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that is killed after two more objects each time comes to its end, and is never ahead of the store."""
    with publishers.machine() as context:
        version = judged_run(context, 1)
    registry, trees = Registry(publishers.servers[0]), TreeStore(objects)
    killed = 0
    with monkeypatch.context() as patch:
        patch.setattr(mirrored_storage, "S3Storage", lambda *_: DyingUser(objects, 2, counted=("put",)))
        for _ in range(40):
            try:
                with publishers.machine() as context:
                    publish_model(context, version, version)
            except KilledError:
                killed += 1
            _assert_told_of_what_is_stored(registry, trees, redis_url, version)
            if killed < publishers.count - 1:
                break
    assert killed >= 4, "most contents are stored already: with the run they come from"
    entry = registry.find(version)
    assert entry is not None
    assert entry.status == "deployed"
    with publishers.machine() as context:
        keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
        assert open_bundle(context.shared_bundle(version), keys.public_key).params["theta1"] == 0.71
        assert open_bundle(context.bundle(version), keys.public_key).model_version == version
        assert context.run(version).publish_result.is_file()


def _assert_told_of_what_is_stored(registry: Registry, trees: TreeStore, redis_url: str, version: str) -> None:
    entry = registry.find(version)
    status = entry.status if entry is not None else "draft"
    with redis.Redis.from_url(redis_url) as client:
        announced = bool(client.exists("core:models:notices"))
    if status != "draft":
        assert set(trees.read(f"models/{version}")) == _WHOLE
    if status == "deployed" or announced:
        assert set(trees.read(f"shared/{version}")) == _WHOLE


def test_pruned_bundles_leave_the_store(publishers: Publishers, objects: S3Storage) -> None:
    previous = None
    for number in (1, 2, 3):
        with publishers.machine(kept=1) as context:
            version = judged_run(context, number, previous=previous)
            publish_model(context, version, version)
            previous = version
    trees = TreeStore(objects)
    assert version_of(1) not in {
        folder.split("/")[1] for folder in trees.all_folders() if not folder.startswith("runs/")
    }
    assert trees.folders("shared")[-1] == f"shared/{version_of(3)}"
