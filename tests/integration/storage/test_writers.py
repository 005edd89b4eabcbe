"""Two tasks at once: files of their own meet in one folder, the same files are a conflict that a new try resolves."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from core.errors import TransientError
from core.stores.object_storage.locks import StorageLocks
from core.stores.object_storage.s3 import S3Storage
from tests.integration.storage.mirrors import local, mirror, stored, write

_MONTH = "canonical/1h/EURUSD/2024-01"
_CACHE = "features/1h/EURUSD-GBPUSD/2024-01"


def test_shards_write_into_one_folder(tmp_path: Path, objects: S3Storage, storage_url: str) -> None:
    first, second = (mirror(tmp_path / name, objects, storage_url) for name in "ab")
    first.pull("features")
    second.pull("features")
    write(tmp_path / "a", f"{_CACHE}/one.parquet", b"1")
    write(tmp_path / "b", f"{_CACHE}/two.parquet", b"2")
    first.push()
    second.push()
    assert stored(objects) == {_CACHE: {"one.parquet": b"1", "two.parquet": b"2"}}


def test_two_imports_of_a_month_are_a_conflict(tmp_path: Path, objects: S3Storage, storage_url: str) -> None:
    first, second = (mirror(tmp_path / name, objects, storage_url) for name in "ab")
    for each, name in ((first, "a"), (second, "b")):
        each.pull("canonical")
        write(tmp_path / name, f"{_MONTH}/bars.parquet", f"bars of {name}".encode())
        write(tmp_path / name, f"{_MONTH}/{name}.json", b"{}")
    first.push()
    published = stored(objects)
    with pytest.raises(TransientError, match=f"STORAGE_TREE_CONFLICT.*{_MONTH}"):
        second.push()
    assert stored(objects) == published == {_MONTH: {"bars.parquet": b"bars of a", "a.json": b"{}"}}
    again = mirror(tmp_path / "b", objects, storage_url)
    again.pull("canonical")
    assert local(tmp_path / "b") == published


def test_the_same_bytes_from_two_tasks_are_no_conflict(tmp_path: Path, objects: S3Storage, storage_url: str) -> None:
    both = [mirror(tmp_path / name, objects, storage_url) for name in "ab"]
    for each, name in zip(both, "ab", strict=True):
        each.pull("models/V")
        write(tmp_path / name, "models/V/params.yaml", b"theta1: 0.7")
    for each in both:
        each.push()
    assert stored(objects) == {"models/V": {"params.yaml": b"theta1: 0.7"}}


def test_what_is_named_by_its_content_is_added_once(tmp_path: Path, objects: S3Storage, storage_url: str) -> None:
    for name, content in (("a", b"first writer"), ("b", b"another release's bytes")):
        task = mirror(tmp_path / name, objects, storage_url)
        write(tmp_path / name, "snapshots/1h/EURUSD/2024-01/left over.parquet", b"of a killed task")
        task.begin("snapshots")
        write(tmp_path / name, "snapshots/1h/EURUSD/2024-01/da7a.parquet", content)
        write(tmp_path / name, f"snapshots/1h/EURUSD/2024-01/{name}.parquet", content)
        task.push()
    assert stored(objects) == {
        "snapshots/1h/EURUSD/2024-01": {
            "da7a.parquet": b"first writer",
            "a.parquet": b"first writer",
            "b.parquet": b"another release's bytes",
        }
    }


def test_the_run_is_named_last(tmp_path: Path, objects: S3Storage, storage_url: str) -> None:
    """References of a run appear in the order in which its folders were written."""
    order: list[str] = []

    class Watched(S3Storage):
        def __init__(self) -> None:
            self.__dict__.update(objects.__dict__)

        def put(self, key: str, content: bytes) -> None:
            super().put(key, content)
            order.append(key)

    task = mirror(tmp_path, Watched(), storage_url)
    for scope in ("snapshots", "runs/R"):
        task.pull(scope)
    for path in ("runs/R/gates/x.html", "runs/R/catalog/i.parquet", "runs/R/run.json", "snapshots/1h/E/2024-01/a"):
        write(tmp_path, path, path.encode())
        time.sleep(0.01)
    task.push()
    assert [key.split("/")[0] for key in order] == ["blobs"] * 4 + ["trees"] * 4
    assert order[4:] == [
        "trees/snapshots/1h/E/2024-01.json",
        "trees/runs/R/gates.json",
        "trees/runs/R/catalog.json",
        "trees/runs/R.json",
    ]


def test_a_reader_waits_until_references_are_replaced(tmp_path: Path, objects: S3Storage, storage_url: str) -> None:
    locks = StorageLocks(storage_url, objects.name)
    reader = mirror(tmp_path, objects, storage_url)
    pulled = threading.Event()

    def read() -> None:
        reader.pull("canonical")
        pulled.set()

    thread = threading.Thread(target=read)
    with locks.writing("canonical"):
        thread.start()
        assert not pulled.wait(0.5)
    thread.join()
    assert pulled.is_set()
