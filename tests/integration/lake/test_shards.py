"""An import in parts: whatever shards ran, how often, and how they ended, the lake holds the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from core.errors import InputError, TransientError
from core.stores.lake_shards import SHARDS
from tasks.ingest import import_bars, stage_bars
from tasks.shard import Shard
from tests.integration.lake.world import SYMBOLS, World, files, settings
from tests.unit.market.examples import at

FORK = multiprocessing.get_context("fork")


@st.composite
def shard_runs(draw: st.DrawFn) -> list[Shard]:
    """Some shards of a work cut into one to three parts, in any order, perhaps one of them twice."""
    count = draw(st.integers(1, 3))
    numbers = draw(st.lists(st.integers(1, count), max_size=count + 1))
    return [Shard(number, count) for number in numbers]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A lake that ends a week before the vendor's files do."""
    world = World(tmp_path, settings())
    world.write_all(end=at("2024-02-20T12:00"))
    import_bars(world.context(), world.bars, "earlier", None)
    world.write_all()
    return world


@pytest.fixture
def before(world: World) -> Path:
    return Path(shutil.copytree(world.lake.root, world.folder / "before"))


@pytest.fixture
def straight(world: World, before: Path) -> tuple[dict[str, bytes], dict[str, object]]:
    """What an import without shards leaves and says."""
    outputs = _import(world)
    found = files(world.lake.root)
    _put_back(world, before)
    return found, outputs


def _import(world: World) -> dict[str, object]:
    return dict(import_bars(world.context(), world.bars, "run", None).outputs)


def _stage(world: World, shard: Shard, run: str = "run") -> dict[str, object]:
    return dict(stage_bars(world.context(), world.bars, run, None, shard).outputs)


def _put_back(world: World, before: Path) -> None:
    shutil.rmtree(world.lake.root)
    shutil.copytree(before, world.lake.root)


@given(runs=shard_runs())
@hypothesis(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shards_in_any_order_give_the_same_lake(
    world: World, before: Path, straight: tuple[dict[str, bytes], dict[str, object]], runs: list[Shard]
) -> None:
    _put_back(world, before)
    lake = files(world.lake.root)
    for shard in runs:
        _stage(world, shard)
    published = {name: content for name, content in files(world.lake.root).items() if not name.startswith(SHARDS)}
    assert published == lake
    outputs = _import(world)
    assert (files(world.lake.root), outputs) == straight


def test_what_shards_made_ready_is_not_fetched_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _stage(world, Shard(1, 2)) == {"shard": "1/2", "symbols": 1, "symbols_staged": 1}
    assert _stage(world, Shard(1, 2))["symbols_staged"] == 0
    (world.bars / f"{SYMBOLS[0]}.parquet").write_bytes(b"PAR1 and no more")
    monkeypatch.setattr("core.providers.file_import.FileImport.fits", lambda *_: True)
    assert _import(world)["symbols"] == 2
    assert not (world.lake.root / SHARDS).exists()


@pytest.mark.parametrize(("name", "count"), [("fsync", 1), ("fsync", 7), ("rename", 1), ("rename", 2)])
def test_a_killed_shard_is_harmless(
    world: World, straight: tuple[dict[str, bytes], dict[str, object]], name: str, count: int
) -> None:
    def work() -> None:
        module = os if name == "fsync" else Path
        target, calls = getattr(module, name), 0

        def counted(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            if calls == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return target(*arguments)

        setattr(module, name, counted)
        _stage(world, Shard(1, 1))

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    outputs = _import(world)
    assert (files(world.lake.root), outputs) == straight


def test_a_shard_of_another_import_is_left_alone_and_thrown_away(
    world: World, straight: tuple[dict[str, bytes], dict[str, object]]
) -> None:
    world.write("AUDUSD", world.raw("AUDUSD").assign(volume=1.0))
    _stage(world, Shard(1, 1), "another")
    stamp = (world.bars / "GBPUSD.parquet").stat().st_mtime_ns
    path = world.write("AUDUSD", world.raw("AUDUSD"))
    os.utime(path, ns=(stamp, stamp))
    _import(world)
    kept, expected = (
        {name: content for name, content in found.items() if "provenance" not in name}
        for found in (files(world.lake.root), straight[0])
    )
    assert kept == expected


def test_a_shard_is_not_taken_over_by_a_lake_that_has_moved_on(world: World, tmp_path: Path) -> None:
    """The shard found January unchanged; another import then restates it, and the bars go back to what they were."""
    _stage(world, Shard(1, 1))
    shards = Path(shutil.copytree(world.lake.root / SHARDS, tmp_path / "shards"))
    raw = {symbol: world.raw(symbol) for symbol in SYMBOLS}
    for symbol, frame in raw.items():
        world.write(symbol, frame.assign(volume=1.0))
    import_bars(world.context(), world.bars, "another", None)
    world.write_all()
    shutil.copytree(shards, world.lake.root / SHARDS)
    _import(world)
    for key in world.lake.keys("1h"):
        assert (world.lake.table(key)["volume"].to_pandas() == 7.0).all()


def test_a_damaged_shard_is_done_again(world: World, straight: tuple[dict[str, bytes], dict[str, object]]) -> None:
    _stage(world, Shard(1, 1))
    for path in (world.lake.root / SHARDS).rglob("bars.parquet"):
        path.write_bytes(path.read_bytes()[:-50])
    outputs = _import(world)
    assert (files(world.lake.root), outputs) == straight


def test_an_import_that_fails_keeps_no_shard(world: World) -> None:
    """A person mends the file and starts the import alone again: what was wrong before must not come back."""
    _stage(world, Shard(1, 2))
    world.write(SYMBOLS[1], world.raw(SYMBOLS[1]).iloc[:50])
    with pytest.raises(InputError):
        _import(world)
    assert not (world.lake.root / SHARDS).exists()


def test_shards_work_side_by_side_and_never_beside_an_import(world: World) -> None:
    with world.lake.sharing("another shard"):
        assert _stage(world, Shard(2, 2))["symbols_staged"] == 1
        with pytest.raises(TransientError, match="LAKE_LOCK_HELD"):
            _import(world)
    with world.lake.writing("an import"), pytest.raises(TransientError, match=r"LAKE_LOCK_HELD.*an import"):
        _stage(world, Shard(1, 2))


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1/0", "1/2/3", "one/two", "-1/2", "1/2 "])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="such as 1/2"):
        Shard.parse(text)


@given(count=st.integers(1, 40), items=st.lists(st.integers(), max_size=30))
def test_the_parts_hold_every_item_once(count: int, items: list[int]) -> None:
    parts = [Shard(number, count).part(items) for number in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
