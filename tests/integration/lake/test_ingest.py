"""Bars in, month partitions out: repeated, extended, restated and refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest

from core.config.sources import Simulator
from core.errors import InputError, TransientError
from core.market.bars import epoch_seconds
from core.stores.lake_lock import exclusive_lock
from core.stores.partition import PartitionKey
from tasks.ingest import import_bars
from tests.integration.lake.world import END, SYMBOLS, World, files, settings
from tests.unit.market.examples import at
from tests.unit.market.examples import settings as load

MONTHS = ["2023-12", "2024-01", "2024-02", "2024-03"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, settings())
    world.write_all()
    return world


def _ingest(world: World, run: str = "run-1", as_of: str | None = None) -> dict[str, object]:
    return dict(import_bars(world.context(), world.bars, run, as_of).outputs)


def test_the_newest_months_become_partitions(world: World) -> None:
    outputs = _ingest(world)
    assert outputs["partitions_written"] == len(SYMBOLS) * len(MONTHS)
    assert (outputs["last_ts"], outputs["simulated"], outputs["quarantined"]) == ("2024-03-15T11:00:00Z", False, [])
    for symbol in SYMBOLS:
        assert world.lake.months("1h", symbol) == MONTHS
        raw = world.raw(symbol)
        for month in MONTHS:
            key = PartitionKey("1h", symbol, month)
            bars = world.lake.table(key).to_pandas()
            expected = raw[raw["ts"].dt.strftime("%Y-%m") == month].reset_index(drop=True)
            pd.testing.assert_frame_equal(bars[list(raw.columns)], expected, check_exact=True)
            assert world.lake.meta(key)["counts"]["bars_written"] == len(expected)
            assert (
                pq.ParquetFile(world.lake.folder(key) / "bars.parquet").metadata.row_group(0).column(1).compression
                == "SNAPPY"
            )


def test_the_same_bars_again_write_nothing(world: World) -> None:
    _ingest(world)
    before = {path: path.stat().st_mtime_ns for path in world.lake.root.rglob("*.*") if path.name != ".lock"}
    outputs = _ingest(world, "run-2")
    after = {path: path.stat().st_mtime_ns for path in world.lake.root.rglob("*.*") if path.name != ".lock"}
    assert (outputs["partitions_written"], outputs["bars_written"], outputs["partitions_unchanged"]) == (0, 0, 8)
    assert after == before


def test_the_same_bars_elsewhere_give_the_same_bytes(tmp_path: Path, world: World) -> None:
    other = World(tmp_path / "other", settings())
    other.write_all()
    for symbol in SYMBOLS:
        os.utime(other.bars / f"{symbol}.parquet", (1, 1))
    _ingest(world)
    _ingest(other, "another-run")
    here, there = (
        {name: content for name, content in files(each.lake.root).items() if "provenance" not in name}
        for each in (world, other)
    )
    assert here == there


def test_new_bars_touch_the_newest_months_only_and_old_bars_keep_their_provenance(world: World) -> None:
    world.write_all(end=at("2024-03-08T12:00"))
    _ingest(world)
    before = files(world.lake.root)
    world.write_all()
    outputs = _ingest(world, "run-2")
    changed = {name for name, content in files(world.lake.root).items() if before.get(name) != content}
    assert {name.split("/")[2] for name in changed} == {"2024-03"}
    assert outputs["partitions_written"] == len(SYMBOLS)
    provenance = pd.read_parquet(world.lake.folder(PartitionKey("1h", "AUDUSD", "2024-03")) / "__provenance.parquet")
    old = epoch_seconds(provenance["ts"]) < at("2024-03-08T12:00")
    assert set(provenance["ingest_run_id"][old]) == {"run-1"}
    assert set(provenance["ingest_run_id"][~old]) == {"run-2"}
    assert set(provenance["source"]) == {"parquet"}


def test_restated_bars_change_the_hash_and_only_their_provenance(world: World) -> None:
    _ingest(world)
    key = PartitionKey("1h", "AUDUSD", "2024-02")
    before = world.lake.meta(key)["data_hash"]
    raw = world.raw("AUDUSD")
    raw["high"] *= np.where(epoch_seconds(raw["ts"]) == at("2024-02-14T10:00"), 1.0001, 1.0)
    world.write("AUDUSD", raw)
    assert _ingest(world, "run-2")["partitions_written"] == 1
    assert world.lake.meta(key)["data_hash"] != before
    provenance = pd.read_parquet(world.lake.folder(key) / "__provenance.parquet")
    restated = provenance[provenance["ingest_run_id"] == "run-2"]
    assert restated["ts"].tolist() == [pd.Timestamp("2024-02-14T10:00Z")]


def test_a_long_hole_is_quarantined_and_leaves_quarantine_when_mended(world: World) -> None:
    raw = world.raw("AUDUSD")
    hole = (epoch_seconds(raw["ts"]) >= at("2024-02-14T10:00")) & (epoch_seconds(raw["ts"]) < at("2024-02-14T15:00"))
    world.write("AUDUSD", raw[~hole].reset_index(drop=True))
    assert _ingest(world)["quarantined"] == ["AUDUSD/2024-02"]
    path = world.lake.folder(PartitionKey("1h", "AUDUSD", "2024-02")) / "__quarantine.json"
    assert orjson.loads(path.read_bytes()) == {
        "reason": "unfilled_gaps",
        "threshold": {"unfilled_gaps": 0},
        "observed": {"unfilled_gaps": 1},
        "period": {"first_ts": "2024-02-14T10:00:00Z", "last_ts": "2024-02-14T14:00:00Z"},
        "owner": "data-oncall",
    }
    world.write("AUDUSD", raw)
    assert _ingest(world)["quarantined"] == []
    assert not path.exists()


def test_a_suspicious_newest_bar_waits_for_the_next(world: World) -> None:
    raw = world.raw("AUDUSD")
    whole = len(raw)
    raw.loc[whole - 2, ["open", "high", "low", "close"]] *= 1.2
    world.write("AUDUSD", raw.iloc[: whole - 1])
    held = pd.Timestamp(raw["ts"].iloc[-2])
    assert _ingest(world)["held"] == {"AUDUSD": f"{held:%Y-%m-%dT%H:%M:%SZ}"}
    world.write("AUDUSD", raw)
    assert _ingest(world)["held"] == {}
    bars = world.lake.table(PartitionKey("1h", "AUDUSD", "2024-03")).to_pandas()
    assert bars["quality_flag"].tolist()[-2:] == ["outlier", "ok"]


def test_bars_not_closed_by_as_of_are_left_out(world: World) -> None:
    assert _ingest(world, as_of="2024-03-14T10:30:00+00:00")["last_ts"] == "2024-03-14T09:00:00Z"


def test_an_import_behind_the_lake_is_refused(world: World) -> None:
    _ingest(world)
    before = files(world.lake.root)
    world.write_all(end=END - 86_400)
    with pytest.raises(InputError) as caught:
        _ingest(world)
    assert caught.value.code == "LAKE_IMPORT_BEHIND"
    assert files(world.lake.root) == before


def test_a_simulated_market_never_mixes_with_real_bars(world: World) -> None:
    _ingest(world)
    dev = load("dev")
    simulator = next(provider for provider in dev.sources.providers if isinstance(provider, Simulator))
    pair = simulator.pairs[0].model_copy(update={"a": SYMBOLS[0], "b": SYMBOLS[1]})
    sources = dev.sources.model_copy(update={"providers": (simulator.model_copy(update={"pairs": (pair,)}),)})
    mixed = World(world.folder, world.settings.model_copy(update={"sources": sources}))
    with pytest.raises(InputError) as caught:
        import_bars(mixed.context(), None, "run-2", None)
    assert caught.value.code == "LAKE_SOURCE_MIXED"


def test_a_bad_file_leaves_the_lake_as_it_was(world: World) -> None:
    _ingest(world)
    before = files(world.lake.root)
    world.write_all(end=END + 86_400)
    path = world.bars / "GBPUSD.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"GBPUSD\.parquet"):
        _ingest(world)
    assert files(world.lake.root) == before


def test_too_little_history_is_refused_by_name(world: World) -> None:
    world.write("GBPUSD", world.raw("GBPUSD", start=at("2024-02-20T00:00")))
    with pytest.raises(InputError, match=r"fewer than 1000 bars since 2023-12: GBPUSD \(\d+\)"):
        _ingest(world)
    assert files(world.lake.root) == {}


def test_months_past_their_retention_leave_the_lake(tmp_path: Path) -> None:
    whole = World(tmp_path, settings())
    whole.write_all(end=at("2024-02-15T12:00"))
    _ingest(whole)
    assert whole.lake.months("1h", "AUDUSD") == ["2023-11", *MONTHS[:3]]
    retention = whole.settings.data_retention.model_copy(update={"canonical_months": 4})
    shorter = World(tmp_path, whole.settings.model_copy(update={"data_retention": retention}))
    shorter.write_all()
    assert _ingest(shorter)["partitions_removed"] == 2
    assert shorter.lake.months("1h", "AUDUSD") == MONTHS


def test_two_imports_at_once_are_refused(world: World) -> None:
    with (
        exclusive_lock(world.lake.root, "ingest first", wait=False),
        pytest.raises(TransientError, match="ingest first"),
    ):
        _ingest(world)
    assert _ingest(world)["partitions_written"] == 8
