"""The lake indexed, filtered and named as a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest

from core.errors import BlockedError, InputError
from core.market.bars import epoch_seconds
from core.quality.admission import INDEX_COLUMNS
from core.stores.catalog_index import read_index
from core.stores.files import write_json
from core.stores.market_data import load_pairs, load_symbol
from core.stores.partition import PartitionKey
from core.stores.run_folder import PreviousModel, RunFolder
from tasks.catalog import catalog_lake
from tasks.ingest import import_bars
from tests.integration.lake.world import SYMBOLS, World, settings
from tests.unit.market.examples import at

PAIR = "GBPUSD-AUDUSD"


def _world(folder: Path, **thresholds: object) -> World:
    world = World(folder, settings(**thresholds))
    world.write_all()
    return world


def _ingest(world: World) -> None:
    import_bars(world.context(), world.bars, "run", None)


def _catalog(world: World, registry_url: str, as_of: str | None = None) -> tuple[dict[str, object], RunFolder]:
    outputs = dict(catalog_lake(world.context(registry_url), as_of).outputs)
    return outputs, RunFolder(Path(str(outputs["run_dir"])))


def _hole(world: World, symbol: str, first: str, last: str) -> None:
    """Take the bars from `first` to `last` out of the vendor's file."""
    raw = world.raw(symbol)
    ts = epoch_seconds(raw["ts"])
    world.write(symbol, raw[(ts < at(first)) | (ts > at(last))].reset_index(drop=True))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = _world(tmp_path)
    _ingest(world)
    return world


def test_the_run_is_named_by_its_data_code_and_configuration(world: World, registry_url: str) -> None:
    outputs, run = _catalog(world, registry_url)
    identity = run.read_identity()
    assert outputs["run_id"] == identity.run_id == identity.model_version == run.path.name
    assert outputs["as_of"] == identity.as_of == "2024-03-15T12:00:00Z"
    assert identity.run_id.startswith("20240315_1200_")
    assert (outputs["n_pairs"], identity.previous) == (1, None)
    pair = load_pairs(world.context().roots, world.settings, read_index(run.dataset_index), None)[PAIR]
    assert outputs["n_bars"] == len(pair)
    again, _ = _catalog(world, registry_url)
    assert again == outputs


def test_the_index_says_what_every_partition_says(world: World, registry_url: str) -> None:
    _, run = _catalog(world, registry_url)
    index = read_index(run.dataset_index)
    assert list(index.columns) == [*INDEX_COLUMNS, "admitted"]
    assert len(index) == 2 * 4
    for row in index.itertuples():
        meta = world.lake.meta(PartitionKey("1h", str(row.symbol), f"{row.year}-{row.month:02d}"))
        assert (row.data_hash, row.bars_written) == (meta["data_hash"], meta["counts"]["bars_written"])
        assert row.last_ts == pd.Timestamp(meta["last_ts"])


def test_other_bars_or_configuration_are_another_run(world: World, registry_url: str) -> None:
    first, _ = _catalog(world, registry_url)
    policy = world.settings.retrain_policy
    changed = world.settings.model_copy(update={"retrain_policy": policy.model_copy(update={"min_starts": 1})})
    second, _ = _catalog(World(world.folder, changed), registry_url)
    raw = world.raw("AUDUSD")
    raw["volume"] += 1.0
    world.write("AUDUSD", raw)
    _ingest(world)
    third, _ = _catalog(world, registry_url)
    assert len({str(each["run_id"]) for each in (first, second, third)}) == 3
    assert first["data_hash"] == second["data_hash"] != third["data_hash"]


def test_a_known_run_keeps_the_model_it_was_compared_with(world: World, registry_url: str) -> None:
    _, run = _catalog(world, registry_url)
    content = orjson.loads(run.identity.read_bytes())
    write_json(run.identity, content | {"previous": {"model_version": "older", "theta1": 0.7, "theta2": 0.3}})
    _catalog(world, registry_url)
    assert run.read_identity().previous == PreviousModel("older", 0.7, 0.3)


def test_as_of_hides_later_bars(world: World, registry_url: str) -> None:
    whole, _ = _catalog(world, registry_url)
    outputs, run = _catalog(world, registry_url, "2024-03-11T10:30:00Z")
    assert str(outputs["run_id"]).startswith("20240311_1030_")
    assert outputs["data_hash"] != whole["data_hash"]
    bars = load_symbol(world.context().roots, world.settings, read_index(run.dataset_index), "AUDUSD")
    assert bars["ts"].iloc[-1] == pd.Timestamp("2024-03-11T09:00Z")


def test_a_quarantined_month_is_left_out_and_segments_start_again(tmp_path: Path, registry_url: str) -> None:
    world = _world(tmp_path)
    _hole(world, "AUDUSD", "2024-01-17T10:00", "2024-01-17T18:00")
    _ingest(world)
    outputs, run = _catalog(world, registry_url)
    assert outputs["partitions_excluded"] == 1
    filtered = orjson.loads(run.dataset_index_filtered.read_bytes())
    (excluded,) = filtered["excluded"]
    assert (excluded["symbol"], excluded["month"], excluded["reason"]) == ("AUDUSD", "2024-01", "quarantine")
    index = read_index(run.dataset_index)
    bars = load_symbol(world.context().roots, world.settings, index, "AUDUSD")
    months = bars["ts"].dt.strftime("%Y-%m")
    assert dict(zip(months, bars["segment"], strict=True)) == {"2023-12": 0, "2024-02": 1, "2024-03": 1}
    pair = load_pairs(world.context().roots, world.settings, index, [PAIR])[PAIR]
    step = int(np.flatnonzero(np.diff(pair.segment))[0])
    assert np.unique(pair.segment).tolist() == [0, 1]
    assert pair.ts[step] < at("2024-01-01T00:00") < at("2024-02-01T00:00") <= pair.ts[step + 1]


def test_a_month_that_is_not_there_starts_a_segment(world: World, registry_url: str) -> None:
    folder = world.lake.folder(PartitionKey("1h", "AUDUSD", "2024-02"))
    folder.rename(world.folder / "elsewhere")
    _, run = _catalog(world, registry_url)
    bars = load_symbol(world.context().roots, world.settings, read_index(run.dataset_index), "AUDUSD")
    assert bars["segment"].nunique() == 2
    assert orjson.loads(run.dataset_index_filtered.read_bytes())["excluded"][0]["reason"] == "absent"


def test_a_partition_that_changed_since_the_index_is_refused(world: World, registry_url: str) -> None:
    _, run = _catalog(world, registry_url)
    raw = world.raw("AUDUSD")
    raw["volume"] += 1.0
    world.write("AUDUSD", raw)
    _ingest(world)
    with pytest.raises(InputError, match="run catalog again"):
        load_symbol(world.context().roots, world.settings, read_index(run.dataset_index), "AUDUSD")


def test_a_damaged_partition_stops_the_catalog(world: World, registry_url: str) -> None:
    path = world.lake.folder(PartitionKey("1h", "AUDUSD", "2024-02")) / "bars.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"AUDUSD/2024-02/bars\.parquet"):
        _catalog(world, registry_url)


def test_all_partitions_quarantined_is_blocked(tmp_path: Path, registry_url: str) -> None:
    world = _world(tmp_path)
    raw = {symbol: world.raw(symbol) for symbol in SYMBOLS}
    for symbol, frame in raw.items():
        ts = frame["ts"]
        noon = (ts.dt.day.isin([8, 9, 10, 11])) & ts.dt.hour.between(10, 14) & (ts.dt.day_of_week < 4)
        world.write(symbol, frame[~noon].reset_index(drop=True))
    _ingest(world)
    with pytest.raises(BlockedError, match=r"all partitions of every symbol .* quarantine"):
        _catalog(world, registry_url)
    assert not world.context().roots.runs.exists()


def test_too_little_usable_history_is_blocked(tmp_path: Path, registry_url: str) -> None:
    world = _world(tmp_path, min_history_bars=1500)
    _hole(world, "AUDUSD", "2024-01-17T10:00", "2024-01-17T18:00")
    _ingest(world)
    with pytest.raises(BlockedError, match=r"fewer than 1500 usable bars: AUDUSD \(\d+\); 1 months"):
        _catalog(world, registry_url)


def test_legs_that_never_overlap_are_named(tmp_path: Path, registry_url: str) -> None:
    world = World(tmp_path, settings(min_history_bars=100))
    world.write("AUDUSD", world.raw("AUDUSD", end=at("2024-01-20T00:00")))
    world.write("GBPUSD", world.raw("GBPUSD", start=at("2024-02-01T00:00")))
    _ingest(world)
    with pytest.raises(InputError) as caught:
        _catalog(world, registry_url)
    assert caught.value.code == "DATA_PAIR_NO_OVERLAP"
    assert PAIR in caught.value.where


def test_an_empty_lake_says_to_ingest(tmp_path: Path, registry_url: str) -> None:
    with pytest.raises(InputError, match="run ingest"):
        _catalog(_world(tmp_path), registry_url)


def test_a_symbol_the_lake_lacks_is_named(world: World, registry_url: str) -> None:
    (world.lake.root / "1h" / "AUDUSD").rename(world.folder / "elsewhere")
    with pytest.raises(InputError, match="no bars of AUDUSD"):
        _catalog(world, registry_url)


def test_an_as_of_without_its_offset_is_refused(world: World, registry_url: str) -> None:
    with pytest.raises(InputError, match="ISO 8601"):
        _catalog(world, registry_url, "2024-03-11T10:30:00")
