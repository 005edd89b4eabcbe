"""A writer that is killed, and a disk that is full: every partition whole, the next run finishes the work."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import InputError, TransientError
from core.stores import lake as lake_module
from core.stores.lake import REPLACED, STAGED
from core.stores.partition import content_hash
from tasks.ingest import import_bars
from tests.integration.lake.world import World, files, settings
from tests.unit.market.examples import at

SPAWN = multiprocessing.get_context("fork")


def _ingest(world: World) -> dict[str, object]:
    return dict(import_bars(world.context(), world.bars, "run", None).outputs)


def _check_whole(world: World) -> None:
    for key in world.lake.keys("1h"):
        meta = world.lake.meta(key)
        assert content_hash(world.lake.table(key)) == meta["data_hash"]
        assert (world.lake.folder(key) / "__provenance.parquet").is_file()


def _kill_at(world: World, name: str, count: int) -> None:
    """Import in a process of its own that kills itself, with no chance to tidy, at the count-th call of `name`."""

    def work() -> None:
        calls = 0
        target: Callable[..., object] = getattr(os if name == "fsync" else Path, name)

        def counted(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            if calls == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return target(*arguments)

        setattr(os if name == "fsync" else Path, name, counted)
        _ingest(world)

    process = SPAWN.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A lake that ends a week before the vendor's files do."""
    world = World(tmp_path, settings())
    world.write_all(end=at("2024-02-20T12:00"))
    _ingest(world)
    world.write_all()
    return world


@pytest.mark.parametrize(("name", "count"), [("fsync", 1), ("fsync", 6), ("rename", 1), ("rename", 2), ("rename", 3)])
def test_a_killed_import_leaves_whole_partitions_and_the_next_run_ends_the_same(
    tmp_path: Path, world: World, name: str, count: int
) -> None:
    _kill_at(world, name, count)
    _check_whole(world)
    _ingest(world)
    _check_whole(world)
    assert not (world.lake.root / STAGED).exists()
    assert not (world.lake.root / REPLACED).exists()
    straight = World(tmp_path / "straight", settings())
    straight.write_all()
    _ingest(straight)
    kept = {name: content for name, content in files(world.lake.root).items() if "provenance" not in name}
    months = {path.split("/")[2] for path in files(straight.lake.root)}
    expected = {name: content for name, content in files(straight.lake.root).items() if "provenance" not in name}
    assert {name: content for name, content in kept.items() if name.split("/")[2] in months} == expected


def test_a_reader_mends_what_a_killed_writer_set_aside(world: World) -> None:
    before = {key.folder for key in world.lake.keys("1h")}
    _kill_at(world, "rename", 2)
    assert {key.folder for key in world.lake.keys("1h")} != before
    with world.lake.reading("test"):
        assert {key.folder for key in world.lake.keys("1h")} == before
    _check_whole(world)


def test_a_full_disk_says_so_and_leaves_the_lake_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(world.lake.root)
    written = 0

    def full(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written > 3:
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(content)

    monkeypatch.setattr(lake_module, "_write_durably", full)
    with pytest.raises(TransientError, match="No space left on device"):
        _ingest(world)
    assert files(world.lake.root) == before


def test_a_disk_too_full_for_the_lock_is_a_full_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, content: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(TransientError, match=r"\.lock"):
        _ingest(world)


def test_a_file_beyond_what_the_system_allows_is_a_full_disk(world: World) -> None:
    before = files(world.lake.root)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(TransientError, match="free disk space"):
            _ingest(world)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(world.lake.root) == before


def test_a_damaged_partition_is_written_again(world: World) -> None:
    _ingest(world)
    before = files(world.lake.root)
    key = world.lake.keys("1h")[-1]
    path = world.lake.folder(key) / "bars.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    assert _ingest(world)["partitions_written"] == 1
    after = files(world.lake.root)
    assert {name for name in after if "provenance" not in name and before[name] != after[name]} == set()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1 and no more")])
def test_a_damaged_provenance_is_named_and_ingest_writes_the_deleted_month_again(
    world: World, damage: Callable[[Path], object]
) -> None:
    _ingest(world)
    folder = world.lake.folder(world.lake.keys("1h")[-1])
    damage(folder / "__provenance.parquet")
    with pytest.raises(InputError, match=r"LAKE_PARTITION_UNREADABLE.*__provenance\.parquet.*delete"):
        _ingest(world)
    shutil.rmtree(folder)
    assert _ingest(world)["partitions_written"] == 1
    _check_whole(world)


def test_bars_damaged_inside_are_written_again(world: World) -> None:
    _ingest(world)
    path = world.lake.folder(world.lake.keys("1h")[-1]) / "bars.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:200] + b"\xff" * 4000 + before[4200:])
    assert _ingest(world)["partitions_written"] == 1
    assert path.read_bytes() == before
