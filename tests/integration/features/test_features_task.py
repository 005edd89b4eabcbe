"""The features task on a lake: a run's cache, report and gate, and a pair's rows exported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from core.errors import BlockedError, InputError
from core.features.batch import build_features
from core.features.table import FEATURE_COLUMNS
from core.stores.catalog_index import read_index
from core.stores.feature_cache import build_months
from core.stores.market_data import load_pairs, pair_months
from core.stores.run_folder import RunFolder
from tasks.catalog import catalog_lake
from tasks.context import TaskContext
from tasks.features import build_run, export
from tasks.gates import Gate
from tasks.ingest import import_bars
from tests.fixtures.gates import pass_gates
from tests.integration.lake.world import World, settings

PAIR = "GBPUSD-AUDUSD"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, settings())
    world.write_all()
    import_bars(world.context(), world.bars, "run", None)
    return world


@pytest.fixture
def run(world: World, registry_url: str) -> RunFolder:
    return _catalogued(world.context(registry_url))


def _catalogued(context: TaskContext) -> RunFolder:
    run = RunFolder(Path(str(catalog_lake(context, None).outputs["run_dir"])))
    pass_gates(run, Gate.CANONICAL, Gate.INDEX)
    return run


def test_a_run_s_features_are_cached_and_reported(world: World, run: RunFolder) -> None:
    context = world.context()
    outputs = build_run(context, run.path.name).outputs
    assert outputs["pairs_without_rows"] == []
    assert (outputs["pairs"], outputs["months_computed"], outputs["months_cached"]) == (1, 4, 0)
    cached = list((context.roots.features / "1h" / PAIR).glob("*/*.parquet"))
    assert sorted(path.parent.name for path in cached) == ["2023-12", "2024-01", "2024-02", "2024-03"]
    report = orjson.loads(run.preprocess_report.read_bytes())["pairs"][PAIR]
    assert report["rows"] == outputs["rows"] == report["bars"] - 659

    again = build_run(context, run.path.name).outputs
    assert (again["months_computed"], again["months_cached"], again["rows"]) == (0, 4, outputs["rows"])


@pytest.mark.parametrize("still", [("GBPUSD",), ("AUDUSD", "GBPUSD")], ids=["one leg", "both legs"])
def test_prices_that_stand_still_block_and_the_features_without_a_value_are_named(
    tmp_path: Path, registry_url: str, still: tuple[str, ...]
) -> None:
    world = World(tmp_path, settings())
    world.write_all()
    for symbol in still:
        frame = world.raw(symbol)
        world.write(symbol, frame.assign(**dict.fromkeys(("open", "high", "low", "close"), 1.25)))
    context = world.context(registry_url)
    import_bars(context, world.bars, "run", None)
    run = _catalogued(context)
    with pytest.raises(BlockedError, match=rf"FEATURES_ROWS_NONE.*{PAIR}: .*rho_rolling"):
        build_run(context, run.path.name)
    report = orjson.loads(run.preprocess_report.read_bytes())["pairs"][PAIR]
    assert report["rows"] == 0
    assert report["excluded"]["nan_by_column"]["rho_rolling"] == report["bars"] > 1000
    assert not run.extreme_rows.exists()


def test_a_feature_without_any_value_blocks_and_is_named(
    world: World, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_rsi(*given: Any) -> Iterator[Any]:
        for month in build_months(*given):
            values = month.table.values.copy()
            values[:, FEATURE_COLUMNS.index("rsi_spread")] = np.nan
            yield replace(month, table=replace(month.table, values=values))

    monkeypatch.setattr("tasks.features.build_months", without_rsi)
    with pytest.raises(BlockedError, match=rf"FEATURES_ROWS_NONE.* are {PAIR}: rsi_spread \["):
        build_run(world.context(), run.path.name)


def test_bars_by_the_month_are_the_bars_of_the_whole_history(world: World, run: RunFolder) -> None:
    roots, index = world.context().roots, read_index(run.dataset_index)
    pair = next(pair for pair in world.settings.universe.pairs if pair.id == PAIR)
    left_out = index.assign(admitted=(index["month"] != 1) | (index["symbol"] != "AUDUSD"))
    for used, segments in ((index, [0]), (left_out, [0, 1])):
        whole = load_pairs(roots, world.settings, used, [PAIR])[PAIR]
        months = list(pair_months(roots, world.settings, used, pair))
        assert len(months) == 5 - len(segments)
        assert np.unique(whole.segment).tolist() == segments
        for name in ("ts", "close_a", "close_b", "filled", "segment"):
            np.testing.assert_array_equal(
                np.concatenate([getattr(month, name) for month in months]), getattr(whole, name)
            )


def test_legs_that_never_meet_are_named(world: World, run: RunFolder) -> None:
    index = read_index(run.dataset_index)
    apart = index.assign(admitted=(index["month"] < 3) == (index["symbol"] == "AUDUSD"))
    pair = next(pair for pair in world.settings.universe.pairs if pair.id == PAIR)
    with pytest.raises(InputError, match="share no bar"):
        list(pair_months(world.context().roots, world.settings, apart, pair))


def test_a_damaged_file_is_mended_without_a_word_to_the_caller(world: World, run: RunFolder) -> None:
    context = world.context()
    build_run(context, run.path.name)
    victim = next((context.roots.features / "1h" / PAIR / "2024-01").glob("*.parquet"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-100])
    assert build_run(context, run.path.name).outputs["months_computed"] == 1
    assert victim.read_bytes() == whole


def test_exported_rows_are_the_features_of_every_bar(world: World, run: RunFolder, tmp_path: Path) -> None:
    context, out = world.context(), tmp_path / "out" / "rows.parquet"
    outputs = export(context, [PAIR], out, None).outputs
    rows = pd.read_parquet(out)
    assert list(rows.columns) == ["ts", *FEATURE_COLUMNS] == outputs["columns"]
    assert str(rows["ts"].dtype) == "datetime64[us, UTC]"
    bars = load_pairs(context.roots, world.settings, read_index(run.dataset_index), [PAIR])[PAIR]
    table = build_features(bars, world.settings.core_policy.feature_windows)
    np.testing.assert_array_equal(rows[list(FEATURE_COLUMNS)].to_numpy(), table.values)
    assert rows["ts"].iloc[0].timestamp() == bars.ts[0]


def test_an_earlier_as_of_exports_a_beginning(world: World, tmp_path: Path) -> None:
    context = world.context()
    export(context, [PAIR], tmp_path / "all.parquet", None)
    export(context, [PAIR], tmp_path / "early.parquet", "2024-02-20T12:00:00Z")
    whole, early = pd.read_parquet(tmp_path / "all.parquet"), pd.read_parquet(tmp_path / "early.parquet")
    assert early["ts"].iloc[-1] == pd.Timestamp("2024-02-20T11:00:00Z")
    pd.testing.assert_frame_equal(early, whole.iloc[: len(early)])


def test_an_unknown_pair_is_named_and_nothing_is_written(world: World, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="XXX-YYY") as caught:
        export(world.context(), [PAIR, "XXX-YYY"], tmp_path / "rows.parquet", None)
    assert caught.value.code == "CATALOG_PAIR_UNKNOWN"
    assert not (tmp_path / "rows.parquet").exists()


def test_an_out_that_is_a_folder_or_lies_below_a_file_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for out in (tmp_path, tmp_path / "file" / "rows.parquet"):
        with pytest.raises(InputError, match="STORE_PATH_UNUSABLE") as caught:
            export(world.context(), [PAIR], out, None)
        assert caught.value.where == str(out)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_an_unknown_run_is_an_input_error(world: World) -> None:
    with pytest.raises(InputError, match="STORE_FILE_MISSING"):
        build_run(world.context(), "20240101_0000_00000000")
