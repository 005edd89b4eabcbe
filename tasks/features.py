"""features: build a run's features through the cache, or export a pair's rows (SPEC FEAT-1 to FEAT-3)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from core.config.universe import Pair
from core.errors import BlockedError, InputError
from core.features.batch import build_features
from core.features.preprocessing import PairPreprocessing, preprocessing_report
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.timeframe import timeframe_seconds
from core.quality.admission import admit, history_window
from core.stores.catalog_index import build_index, read_index
from core.stores.feature_cache import MonthFeatures, build_months
from core.stores.files import write_bytes, write_json
from core.stores.lake import Lake
from core.stores.market_data import load_pairs, pair_months
from core.stores.run_folder import RunFolder
from tasks.app import run_task
from tasks.as_of import parse_as_of
from tasks.catalog import last_close
from tasks.context import TaskContext, TaskResult
from tasks.gates import Gate, require_gates
from tasks.replay_record import write_frame
from tasks.shard import Shard, ShardOption

app = typer.Typer()


@app.command()
def features(
    command: typer.Context,
    run_id: Annotated[str | None, typer.Option(help="Build the features of all pairs of this run.")] = None,
    pairs: Annotated[str | None, typer.Option(help="Export these pairs, ids separated by commas; needs --out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file to export to.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Export as of this ISO 8601 instant; else the newest bar.")] = None,
    shard: ShardOption = None,
) -> None:
    """Build a run's features, or export pairs: ts and one column a feature, unscaled.

    Examples:

    python -m tasks --config configs features --run-id R

    python -m tasks --config configs features --pairs EURJPY-GBPJPY --out rows.parquet
    """
    if run_id is not None and pairs is None and out is None:
        if shard is not None:
            run_task(command, "features", lambda context: build_shard(context, run_id, shard), shard)
        else:
            run_task(command, "features", lambda context: build_run(context, run_id))
    elif run_id is None and shard is None and pairs is not None and out is not None:
        run_task(command, "features", lambda context: export(context, pairs.split(","), out, as_of))
    else:
        raise typer.BadParameter("give either --run-id, perhaps with --shard, or --pairs with --out")


def build_run(context: TaskContext, run_id: str) -> TaskResult:
    """Fill the cache for every pair of the run, report imputations and exclusions, and lay out what the gate looks at.

    One month of one pair is in memory at a time, however long the history; the gate sees each month's extreme rows
    (features/extreme_rows.parquet).

    Raises:
        BlockedError: FEATURES_ROWS_NONE when no row of any pair is complete, naming the features that have no value.
        InputError: the run is unknown, or its gates `canonical` and `index` have not passed.
    """
    settings, run = context.settings, context.run(run_id)
    counts: dict[str, PairPreprocessing] = {}
    extremes: list[pd.DataFrame] = []
    computed = cached = 0

    pairs = settings.universe.pairs
    for pair, month in _months(context, run, pairs):
        counts.setdefault(pair.id, PairPreprocessing()).add(month.bars, month.table)
        extremes.append(_extreme_rows(month.table))
        computed, cached = computed + (not month.cached), cached + month.cached
    report = preprocessing_report(counts)
    write_json(run.preprocess_report, report)
    rows = pd.concat(extremes, ignore_index=True)
    without = _without_rows(report["pairs"])
    for pair_id, absent in without.items():
        context.log.warning("pair_without_rows", pair=pair_id, never_defined=absent)
    if rows.empty:
        found = "; ".join(f"{pair_id}: {', '.join(absent)}" for pair_id, absent in without.items())
        raise BlockedError(
            "FEATURES_ROWS_NONE",
            f"no bar of any pair has all its features; without a value at every bar are {found}",
            where=str(run.preprocess_report),
            remedy="look whether the prices move and the catalog admits enough months (dataset_index_filtered.json);"
            " else import a longer history",
        )
    write_frame(run.extreme_rows, rows)
    return TaskResult(
        outputs={
            "pairs": len(pairs),
            "rows": sum(pair["rows"] for pair in report["pairs"].values()),
            "months_computed": computed,
            "months_cached": cached,
            "pairs_without_rows": sorted(without),
        }
    )


def build_shard(context: TaskContext, run_id: str, shard: Shard) -> TaskResult:
    """Fill the cache for one part of the run's pairs. Raises InputError as `build_run` does."""
    pairs = shard.part(context.settings.universe.pairs)
    cached = [month.cached for _, month in _months(context, context.run(run_id), pairs)]
    return TaskResult(
        outputs={
            "shard": str(shard),
            "pairs": len(pairs),
            "months_computed": cached.count(False),
            "months_cached": cached.count(True),
        }
    )


def _months(context: TaskContext, run: RunFolder, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, MonthFeatures]]:
    """Features of these pairs, month by month, from the cache where it has them, else built and kept there."""
    settings, timeframe = context.settings, run.read_identity().timeframe
    require_gates(run, Gate.CANONICAL, Gate.INDEX)
    index = read_index(run.dataset_index)

    def warn(path: Path, problem: str) -> None:
        context.log.warning("feature_file_damaged", file=str(path), problem=problem)

    for number, pair in enumerate(pairs, start=1):
        bars = pair_months(context.roots, settings, index, pair)
        for month in build_months(context.roots.features, settings.core_policy, timeframe, pair, index, bars, warn):
            yield pair, month
        context.progress.advance(number, len(pairs), "pairs")


def export(context: TaskContext, pair_ids: list[str], out: Path, as_of: str | None) -> TaskResult:
    """Write the rows of some pairs over the history a run at `as_of` would use; with several pairs a column pair_id.

    Raises:
        InputError: an unknown pair, or a lake without its bars.
    """
    settings = context.settings
    timeframe = settings.pipeline_policy.timeframe_default
    seconds = timeframe_seconds(timeframe)
    symbols = sorted(settings.universe.symbols)
    lake = Lake(context.roots.canonical)
    with lake.reading(f"features {context.trace_id}"):
        index = build_index(lake, timeframe)
        if not index["symbol"].isin(symbols).any():
            raise InputError(
                "CATALOG_LAKE_EMPTY",
                "the lake holds no bars of the universe's symbols",
                where=str(context.roots.canonical),
                remedy="run ingest first",
            )
        now = parse_as_of(as_of) if as_of is not None else last_close(index, symbols, seconds)
        window = history_window(now, settings.retrain_policy.history_months, seconds)
        index, _ = admit(index, window, symbols, settings.pipeline_policy.dq_thresholds)
        bars = load_pairs(context.roots, settings, index, pair_ids)
    windows = settings.core_policy.feature_windows
    rows = pd.concat([_frame(build_features(pair, windows)) for pair in bars.values()], ignore_index=True)
    rows = rows if len(bars) > 1 else rows.drop(columns="pair_id")
    sink = io.BytesIO()
    rows.to_parquet(sink, index=False)
    write_bytes(out, sink.getvalue())
    return TaskResult(outputs={"file": str(out), "rows": len(rows), "pairs": len(bars), "columns": list(rows.columns)})


def _without_rows(pairs: Mapping[str, Any]) -> dict[str, list[str]]:
    """Pairs that no bar of is of use, with the features that have no value at any bar of theirs."""
    return {
        pair_id: [name for name, many in found["excluded"]["nan_by_column"].items() if many == found["bars"]]
        for pair_id, found in pairs.items()
        if found["rows"] == 0
    }


def _extreme_rows(table: FeatureTable) -> pd.DataFrame:
    """Of a month's complete rows those where a column is smallest or largest: no other leaves a range they keep."""
    complete = np.flatnonzero(~np.isnan(table.values).any(axis=1))
    at = complete[:0]
    if complete.size > 0:
        values = table.values[complete]
        at = complete[np.unique(np.concatenate((values.argmin(axis=0), values.argmax(axis=0))))]
    return _frame(table).take(at.tolist())


def _frame(table: FeatureTable) -> pd.DataFrame:
    """ts (datetime64[us, UTC]), pair_id and FEATURE_COLUMNS of a pair."""
    frame = pd.DataFrame(table.values, columns=list(FEATURE_COLUMNS))
    frame.insert(0, "pair_id", np.full(len(frame), table.pair_id, dtype=object))
    frame.insert(0, "ts", pd.to_datetime(table.ts.astype("datetime64[s]").astype("datetime64[us]"), utc=True))
    return frame
