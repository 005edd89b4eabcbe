"""Tasks over a store: what they are refused, what a lost store costs, what is left behind, what is never sent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.quality.suites import Expectation, Suite
from core.stores.object_storage.s3 import S3Storage
from core.stores.object_storage.trees import TreeStore, blob_key
from tasks import gate
from tests.fixtures import markets
from tests.fixtures.s3_server import S3Server
from tests.integration.storage.machines import Machines, archive_of, files_below, free_backend
from tests.integration.storage.mirrors import local, stored


@pytest.fixture
def machines(
    tmp_path: Path, storage_url: str, redis_url: str, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Machines:
    """One pair, no machine of which inherits a variable of the store."""
    for name in [name for name in os.environ if name.startswith(("S3_", "STORAGE_"))]:
        monkeypatch.delenv(name)
    config = free_backend(markets.one_pair(tmp_path))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "signing.pem").write_text("private")
    return Machines.over(config, tmp_path, tmp_path / "keys", (storage_url, redis_url), s3.environ(bucket))


def test_a_lost_store_is_tried_again_from_what_was_there(
    machines: Machines, s3: S3Server, bucket: str, objects: S3Storage
) -> None:
    s3.hang_up_after(bucket, 10)
    first = machines.next()
    code, error, _ = first.refusal("ingest")
    assert (code, error) == (30, "STORAGE_STORE_UNREACHABLE")
    s3.answer_again(bucket)
    assert stored(objects) == {}
    assert len(list(objects.list("blobs"))) == 10

    second = machines.next()
    written = second.outputs("ingest")["partitions_written"]
    assert len(stored(objects)) == written > 0
    assert stored(objects) == local(archive_of(second))

    third = machines.next()
    assert third.outputs("ingest")["partitions_written"] == 0
    assert first.outputs("ingest")["partitions_written"] == 0, "the first machine starts from the store as well"

    months = sorted({tree.rsplit("/", 1)[1] for tree in stored(objects)})
    shorter = machines.next().outputs("ingest", "--as-of", f"{months[-1]}-02T00:00:00Z")
    assert shorter["partitions_removed"] == 0
    removed = machines.next().outputs("ingest", "--as-of", f"{months[-2]}-27T00:00:00Z")["partitions_removed"]
    assert removed > 0
    assert sorted({tree.rsplit("/", 1)[1] for tree in stored(objects)}) == months[:-1]


def test_an_altered_content_is_refused_by_name(machines: Machines, objects: S3Storage) -> None:
    machines.next().outputs("ingest")
    trees = TreeStore(objects)
    tree = trees.folders("canonical")[0]
    file = trees.read(tree)["bars.parquet"]
    objects.put(blob_key(file.sha256), b"bars of another market")
    code, error, message = machines.next().refusal("catalog")
    assert (code, error) == (20, "STORAGE_BLOB_ALTERED")
    assert file.sha256 in message


def test_the_report_of_a_failed_gate_is_stored(
    machines: Machines, objects: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.next().outputs("ingest")
    version = machines.next().outputs("catalog")["model_version"]
    suite = Suite("canonical", (Expectation("expect_table_row_count_to_equal", {"value": 1}),))
    monkeypatch.setattr(gate, "canonical_suite", lambda _: suite)
    assert machines.next().run("gate", "--name", "canonical", "--run-id", version).exit_code == 10
    report = stored(objects)[f"runs/{version}/gates"]
    assert "canonical/index.html" in report
    assert "canonical/passed.json" not in report


def test_missing_variables_are_named_and_nothing_starts(machines: Machines) -> None:
    command = machines.next()
    environ = {name: value for name, value in command.environ.items() if name not in {"S3_BUCKET", "S3_ENDPOINT_URL"}}
    result = type(command)(command.config, environ).run("catalog")
    assert result.exit_code == 20
    message = json.loads(result.stdout.splitlines()[-1])["error"]["message"]
    assert "S3_BUCKET" in message
    assert "S3_ENDPOINT_URL" in message


def test_a_local_archive_is_not_overwritten_but_taken_to_the_store(machines: Machines, objects: S3Storage) -> None:
    command = machines.next()
    here = type(command)(command.config, {**command.environ, "STORAGE_BACKEND": "local"})
    here.outputs("ingest")
    before = files_below(archive_of(command))
    assert command.refusal("catalog")[:2] == (20, "STORAGE_WORKSPACE_FOREIGN")
    assert files_below(archive_of(command)) == before
    assert here.refusal("storage", "upload")[:2] == (20, "STORAGE_BACKEND_LOCAL")

    command.outputs("storage", "upload")
    command.outputs("storage", "upload")
    assert files_below(archive_of(command)) == before
    assert {f"{tree}/{name}" for tree, files in stored(objects).items() for name in files} == {
        name for name in before if not name.startswith("keys/")
    }
    assert machines.next().outputs("ingest")["partitions_written"] == 0
    assert command.outputs("ingest")["partitions_written"] == 0
    assert machines.next().outputs("storage", "sweep")["unnamed"] == 0


def test_a_folder_is_fetched_to_be_read_and_nothing_outside_the_store_is_named(machines: Machines) -> None:
    machines.next().outputs("ingest")
    reader = machines.next()
    files = reader.outputs("storage", "fetch", "canonical")["files"]
    assert files
    assert set(files_below(archive_of(reader))) == {*files, "keys/signing.pem"}
    for folder in ("keys", "runs/none/gates", "canonical/../keys", "/etc", "canonical/", ".."):
        assert reader.refusal("storage", "fetch", folder)[:2] == (20, "STORAGE_FOLDER_ABSENT")
    assert set(files_below(archive_of(reader))) == {*files, "keys/signing.pem"}
