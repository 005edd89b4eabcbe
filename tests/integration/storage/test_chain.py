"""The chain with every task on a machine of its own gives what it gives on one: the same bundle, the same registry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.stores.object_storage.s3 import S3Storage
from core.stores.object_storage.trees import TreeStore, blob_key
from core.stores.registry import Registry
from laptop.servers import EmbeddedPostgres
from tests.fixtures import markets
from tests.fixtures.command_line import Command
from tests.fixtures.config_tree import change
from tests.fixtures.s3_server import S3Server
from tests.integration.storage.machines import Machines, archive_of, files_below, free_backend

_OF_THEIR_OWN = ("__provenance.parquet", "model.sig", "publish/result.json", "infer.sqlite", "index.html")
"""Files that hold a clock, a random number or a machine's path."""


def _chain(machine: Callable[[], Command], *, shards: int) -> str:
    """The chain up to publish, with or without shards before the tasks that have them; the version it makes."""

    def run(task: str, *words: str, sharded: bool = False) -> dict[str, Any]:
        for number in range(shards if sharded else 0):
            machine().outputs(task, *words, f"--shard={number + 1}/{shards}")
        return machine().outputs(task, *words)

    run("ingest", sharded=True)
    version = run("catalog")["model_version"]
    of_run = ("--run-id", version)
    of_model = (*of_run, "--model-version", version)
    for gate in ("canonical", "index"):
        run("gate", "--name", gate, *of_run)
    run("features", *of_run, sharded=True)
    run("gate", "--name", "features", *of_run)
    run("train", *of_model, sharded=True)
    run("gate", "--name", "predictions", *of_run)
    run("backtest", *of_model)
    run("theta", *of_model, sharded=True)
    run("publish", *of_model)
    return str(version)


def _registered(postgres_url: str) -> list[dict[str, Any]]:
    return [{**asdict(entry), "created_at": None} for entry in Registry(postgres_url).history()]


def _stored(objects: S3Storage) -> dict[str, str]:
    """SHA-256 of every file the store holds, by path."""
    trees = TreeStore(objects)
    manifests = {folder: trees.read(folder) for folder in trees.all_folders()}
    return {f"{folder}/{name}": file.sha256 for folder, files in manifests.items() for name, file in files.items()}


def _comparable(files: dict[str, str]) -> dict[str, str]:
    return {path: digest for path, digest in files.items() if not path.endswith(_OF_THEIR_OWN) and "/gx/" not in path}


@pytest.fixture
def two_registries(postgres_server: EmbeddedPostgres, registry_url: str) -> Iterator[tuple[str, str]]:
    """Two databases with the newest schema and no rows."""
    other = postgres_server.create_database("storage_chain", template=urlsplit(registry_url).path.strip("/"))
    yield registry_url, other
    postgres_server.drop_database("storage_chain")


def test_every_task_on_another_machine_gives_the_bundle_and_registry_of_one_machine(
    tmp_path: Path,
    two_registries: tuple[str, str],
    redis_url: str,
    s3: S3Server,
    bucket: str,
    objects: S3Storage,
) -> None:
    config = free_backend(markets.one_pair(tmp_path))
    change(config, "retrain_policy.yaml", "min_starts", 30)
    here, there = two_registries
    one = Command.over(config, tmp_path / "one", here, redis_url)
    one = Command(one.config, {**one.environ, "STORAGE_BACKEND": "local"})
    one.outputs("keys", "init")
    machines = Machines.over(config, tmp_path, tmp_path / "one" / "keys", (there, redis_url), s3.environ(bucket))

    version = _chain(lambda: one, shards=0)
    assert _chain(machines.next, shards=2) == version

    assert _registered(there) == _registered(here) != []
    last = machines.next()
    last.outputs("verify", "--model-version", version)
    assert files_below(archive_of(last) / "models").keys() == files_below(tmp_path / "one" / "models").keys()
    local = files_below(tmp_path / "one")
    keys = {name: content for name, content in local.items() if name.startswith("keys/")}
    assert len(keys) == 2
    hashed = {path: hashlib.sha256(content).hexdigest() for path, content in local.items() if path not in keys}
    stored = _stored(objects)
    assert _comparable(stored) == _comparable(hashed)
    for content in keys.values():
        assert not objects.exists(blob_key(hashlib.sha256(content).hexdigest()))
