"""Partitions kept by content hash, and a lake laid out from what is still there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from core.quality.admission import ADMITTED
from core.stores.catalog_index import build_index
from core.stores.files import sha256_file
from core.stores.partition import BARS
from core.stores.snapshots import Supply, keep_partitions, supply_partitions
from tasks.ingest import import_bars
from tests.integration.lake.world import SYMBOLS, World, settings


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, settings())
    world.write_all()
    import_bars(world.context(), world.bars, "run", None)
    return world


@pytest.fixture
def index(world: World) -> pd.DataFrame:
    """Of every partition but the oldest, which is not admitted."""
    index = build_index(world.lake, "1h")
    return index.assign(**{ADMITTED: index["month"] != index["month"].iloc[0]})


def _sources(supplies: tuple[Supply, ...]) -> dict[str, str]:
    return {f"{supply.key.symbol}/{supply.key.month}": supply.source for supply in supplies}


def test_admitted_partitions_are_kept_once_and_take_no_room(world: World, index: pd.DataFrame, tmp_path: Path) -> None:
    root = tmp_path / "snapshots"
    assert keep_partitions(world.lake, root, index) == int(index[ADMITTED].sum())
    assert keep_partitions(world.lake, root, index) == 0
    kept = sorted(root.rglob("*.parquet"))
    assert [path.stem for path in kept] == index[index[ADMITTED]].sort_values(["symbol", "year", "month"])[
        "data_hash"
    ].tolist()
    for path in kept:
        assert path.samefile(world.lake.root / path.parent.relative_to(root) / BARS)


def test_a_disk_without_links_gets_copies(
    world: World, index: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr("core.stores.snapshots.os.link", refuse)
    root = tmp_path / "snapshots"
    keep_partitions(world.lake, root, index)
    for path in root.rglob("*.parquet"):
        bars = world.lake.root / path.parent.relative_to(root) / BARS
        assert not path.samefile(bars)
        assert sha256_file(path) == sha256_file(bars)
    assert set(_sources(supply_partitions(world.lake, root, index, tmp_path / "laid")).values()) == {"lake"}


def test_a_restated_month_comes_from_its_snapshot_and_a_lost_one_from_nowhere(
    world: World, index: pd.DataFrame, tmp_path: Path
) -> None:
    root, symbol = tmp_path / "snapshots", SYMBOLS[0]
    keep_partitions(world.lake, root, index)
    raw = world.raw(symbol)
    newest = raw["ts"] >= pd.Timestamp("2024-03-01", tz="UTC")
    world.write(symbol, raw.assign(volume=raw["volume"] + newest))
    import_bars(world.context(), world.bars, "restated", None)
    restated = build_index(world.lake, "1h").set_index(["symbol", "month"])["data_hash"]

    supplies = supply_partitions(world.lake, root, index, tmp_path / "laid")
    sources = _sources(supplies)
    assert {name for name, source in sources.items() if source != "lake"} == {f"{symbol}/2024-03"}
    assert sources[f"{symbol}/2024-03"] == "snapshot"
    (supply,) = (supply for supply in supplies if supply.source == "snapshot")
    assert supply.lake_hash == restated[symbol, 3] != supply.recorded_hash

    (root / supply.key.folder / f"{supply.recorded_hash}.parquet").write_bytes(b"nothing")
    again = supply_partitions(world.lake, root, index, tmp_path / "again")
    assert _sources(again)[f"{symbol}/2024-03"] == "nowhere"
    laid = {str(path.parent.relative_to(tmp_path / "again")) for path in (tmp_path / "again").rglob(BARS)}
    assert laid == {str(each.key) for each in again if each.source != "nowhere"}
