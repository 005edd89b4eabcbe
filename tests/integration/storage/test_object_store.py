"""Objects on a real S3 endpoint: round trips, and failures told apart into those to retry and those to mend."""

from __future__ import annotations

import datetime
import gc
import hashlib
from collections.abc import Callable

import pytest

from core.errors import InputError, TransientError
from core.stores.object_storage.s3 import S3Storage
from core.stores.object_storage.trees import StoredFile, TreeStore, blob_key
from tests.fixtures import s3_server
from tests.fixtures.s3_server import S3Server
from tests.integration.storage.conftest import open_bucket


@pytest.mark.parametrize("content", [b"", b"one", bytes(range(256)) * 2**15, bytes(range(256)) * 60_000])
def test_an_object_comes_back_as_it_was_stored(objects: S3Storage, content: bytes) -> None:
    assert objects.get("blobs/a") is None
    assert not objects.exists("blobs/a")
    assert objects.size("blobs/a") is None
    objects.put("blobs/a", b"earlier")
    objects.put("blobs/a", content)
    assert objects.get("blobs/a") == content
    assert objects.exists("blobs/a")
    assert objects.size("blobs/a") == len(content)
    (listed,) = objects.list("blobs")
    assert (listed.key, listed.size) == ("blobs/a", len(content))
    assert abs(listed.modified - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(hours=1)
    objects.delete("blobs/a")
    objects.delete("blobs/a")
    assert objects.get("blobs/a") is None
    assert list(objects.list("blobs")) == []


def test_a_listing_holds_what_lies_below_a_prefix_and_nothing_beside_it(objects: S3Storage) -> None:
    keys = {f"trees/runs/R/{number}.json" for number in range(1001)}
    for key in (*keys, "trees/runs/R2/1.json", "trees/runs/R.json"):
        objects.put(key, b"{}")
    assert {each.key for each in objects.list("trees/runs/R")} == keys


def test_a_missing_bucket_is_named(s3: S3Server) -> None:
    with pytest.raises(InputError, match="no bucket nowhere"):
        open_bucket(s3, "nowhere")


def test_wrong_keys_are_an_input_error_that_shows_no_secret() -> None:
    with s3_server.running() as server:
        server.make_bucket("guarded")
        objects = open_bucket(server, "guarded")
        server.check_credentials()
        with pytest.raises(InputError, match="STORAGE_ACCESS_REFUSED") as caught:
            objects.put("blobs/a", b"x")
        assert "tests-secret" not in str(caught.value)
        with pytest.raises(InputError, match="STORAGE_ACCESS_REFUSED"):
            objects.get("blobs/a")
        with pytest.raises(InputError, match="STORAGE_ACCESS_REFUSED"):
            open_bucket(server, "guarded")


def test_an_endpoint_that_is_down_is_transient(s3: S3Server, bucket: str, objects: S3Storage) -> None:
    objects.put("blobs/a", b"x")
    s3.hang_up_after(bucket, 0)
    calls: tuple[Callable[[], object], ...] = (
        lambda: objects.get("blobs/a"),
        lambda: objects.put("blobs/b", b"y"),
    )
    for call in calls:
        with pytest.raises(TransientError, match="STORAGE_STORE_UNREACHABLE"):
            call()
    s3.answer_again(bucket)
    assert objects.get("blobs/a") == b"x"


IN_TWO_PARTS, IN_THREE_PARTS = bytes(11 * 2**20), bytes(21 * 2**20)


@pytest.mark.parametrize(
    ("content", "method", "query"),
    [
        (b"small", "PUT", ""),
        (IN_TWO_PARTS, "POST", "uploads"),
        (IN_TWO_PARTS, "PUT", "partNumber=1"),
        (IN_THREE_PARTS, "PUT", "partNumber=2"),
        (IN_TWO_PARTS, "PUT", "partNumber=2"),
        (IN_TWO_PARTS, "POST", "uploadId="),
    ],
    ids=["in-one", "begin", "first-part", "second-part", "last-part", "complete"],
)
def test_an_upload_that_fails_midway_leaves_the_object_as_it_was(
    s3: S3Server, bucket: str, objects: S3Storage, content: bytes, method: str, query: str
) -> None:
    objects.put("blobs/a", b"earlier")
    s3.refuse_next(bucket, method, query)
    with pytest.raises(TransientError, match="refused by the test"):
        objects.put("blobs/a", content)
    gc.collect()  # the stream, too, is gone now, and with it whatever it does at its end
    assert objects.get("blobs/a") == b"earlier"


@pytest.mark.parametrize("left", [b"", b"bar", b"bars of another market"])
def test_a_blob_of_another_size_is_stored_again(objects: S3Storage, left: bytes) -> None:
    trees = TreeStore(objects)
    file = StoredFile(hashlib.sha256(b"bars").hexdigest(), len(b"bars"))
    objects.put(blob_key(file.sha256), left)
    assert trees.store(b"bars") == file
    assert trees.fetch(file) == b"bars"


def test_a_blob_that_is_not_what_its_name_says_is_refused(objects: S3Storage) -> None:
    trees = TreeStore(objects)
    file = trees.store(b"bars")
    assert trees.fetch(file) == b"bars"
    objects.put(blob_key(file.sha256), b"bars of another market")
    with pytest.raises(InputError, match=file.sha256):
        trees.fetch(file)
    objects.delete(blob_key(file.sha256))
    with pytest.raises(TransientError, match="STORAGE_BLOB_MISSING"):
        trees.fetch(file)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'{"a": {}}',
        b'{"a": {"sha256": "../../keys", "size": 1}}',
        b'{"../../keys/signing.pem": {"sha256": "%s", "size": 1}}' % (b"0" * 64),
        b'{"/etc/passwd": {"sha256": "%s", "size": 1}}' % (b"0" * 64),
        b'{".lock": {"sha256": "%s", "size": 1}}' % (b"0" * 64),
    ],
)
def test_a_manifest_that_is_damaged_or_leads_elsewhere_is_refused(objects: S3Storage, manifest: bytes) -> None:
    objects.put("trees/runs/R.json", manifest)
    with pytest.raises(InputError, match=r"STORAGE_TREE_(UNREADABLE|REFUSED).*trees/runs/R.json"):
        TreeStore(objects).read("runs/R")


def test_a_tree_is_replaced_and_removed_in_one_step(objects: S3Storage) -> None:
    trees = TreeStore(objects)
    first, second = trees.store(b"first"), trees.store(b"second")
    trees.write("models/V", {"a": first, "sub/b": second})
    trees.write("models/V2", {"a": first})
    assert trees.read("models/V") == {"a": first, "sub/b": second}
    assert trees.folders("models/V") == ["models/V"]
    assert trees.folders("models") == trees.all_folders() == ["models/V", "models/V2"]
    trees.write("models/V", {"a": second})
    assert trees.read("models/V") == {"a": StoredFile(second.sha256, 6)}
    trees.write("models/V", {})
    assert trees.folders("models") == ["models/V2"]
