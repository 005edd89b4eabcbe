"""catalog: index the lake, filter it, and say which run its newest history is (SPEC CAT-2, CAT-3, TRN-4)."""

from __future__ import annotations

import datetime
from typing import Annotated

import pandas as pd
import typer

from core.config.run_configuration import run_configuration
from core.config.settings import Settings
from core.errors import BlockedError, InputError
from core.market.alignment import align_pair
from core.market.timeframe import timeframe_seconds
from core.quality.admission import ADMITTED, Exclusion, Window, admit, history_window
from core.stores.catalog_index import build_index, data_hash, write_filtered, write_index
from core.stores.code_version import code_hash
from core.stores.files import canonical_json, sha256_json, write_bytes
from core.stores.lake import Lake
from core.stores.market_data import load_symbol
from core.stores.run_folder import PreviousModel, RunFolder, RunIdentity, model_version
from core.stores.snapshots import keep_partitions
from tasks.app import run_task
from tasks.as_of import parse_as_of
from tasks.context import REPOSITORY, TaskContext, TaskResult

app = typer.Typer()

_BY_DESIGN = frozenset({"outside_window", "not_in_universe"})


@app.command()
def catalog(
    command: typer.Context,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="ISO 8601 instant with its offset that counts as now; the newest bar's close when not given."
        ),
    ] = None,
) -> None:
    """Index the lake, leave out what does not meet the limits, and identify the run.

    Example: python -m tasks --config configs catalog --as-of 2022-03-04T22:00:00Z
    """
    run_task(command, "catalog", lambda context: catalog_lake(context, as_of))


def catalog_lake(context: TaskContext, as_of: str | None) -> TaskResult:
    """The task's body. Writes runs_root/{run_id}/: catalog/, config.json and, last, run.json. The partitions the run
    uses are kept below snapshots_root. The gates `canonical` and `index` follow.

    Raises:
        InputError: the lake is empty or lacks a symbol, a partition is damaged, the legs of a pair share no bar.
        BlockedError: all partitions are left out, or a symbol keeps too little history.
    """
    settings = context.settings
    timeframe = settings.pipeline_policy.timeframe_default
    seconds = timeframe_seconds(timeframe)
    symbols = sorted(settings.universe.symbols)
    lake = Lake(context.roots.canonical)
    with lake.reading(f"catalog {context.trace_id}"):
        index = build_index(lake, timeframe)
        _require_symbols(index, symbols)
        now = parse_as_of(as_of) if as_of is not None else last_close(index, symbols, seconds)
        window = history_window(now, settings.retrain_policy.history_months, seconds)
        index, exclusions = admit(index, window, symbols, settings.pipeline_policy.dq_thresholds)
        _require_admitted(index, symbols, exclusions, window)
        identity, run = _identify(context, index, now)
        bars = {symbol: load_symbol(context.roots, settings, index, symbol) for symbol in symbols}
        keep_partitions(lake, context.roots.snapshots, index)
    _require_history(bars, settings, exclusions)
    pairs = [align_pair(pair.id, seconds, bars[pair.a], bars[pair.b]) for pair in settings.universe.pairs]
    context.progress.advance(1, 2, "steps")
    write_index(index, run.dataset_index)
    write_filtered(run.dataset_index_filtered, index, exclusions, window, settings.pipeline_policy.dq_thresholds)
    write_bytes(run.configuration, canonical_json(run_configuration(settings)))
    run.write_identity(identity)
    context.progress.advance(2, 2, "steps")
    for exclusion in exclusions:
        if exclusion.reason not in _BY_DESIGN:
            name = f"{exclusion.symbol}/{exclusion.month}"
            context.log.warning("partition_excluded", partition=name, reason=exclusion.reason)
    return TaskResult(
        outputs={
            "run_id": identity.run_id,
            "model_version": identity.model_version,
            "as_of": identity.as_of,
            "run_dir": str(run.path),
            "data_hash": identity.data_hash,
            "n_pairs": len(pairs),
            "n_bars": sum(len(pair) for pair in pairs),
            "partitions": int(index[ADMITTED].sum()),
            "partitions_excluded": sum(exclusion.reason not in _BY_DESIGN for exclusion in exclusions),
        }
    )


def last_close(index: pd.DataFrame, symbols: list[str], seconds: int) -> datetime.datetime:
    """When the newest bar of the symbols closes."""
    newest: pd.Timestamp = index.loc[index["symbol"].isin(symbols), "last_ts"].max()
    return newest.to_pydatetime() + datetime.timedelta(seconds=seconds)


def _require_symbols(index: pd.DataFrame, symbols: list[str]) -> None:
    absent = sorted(set(symbols) - set(index["symbol"]))
    if absent:
        raise InputError(
            "CATALOG_SYMBOL_ABSENT",
            f"the lake holds no bars of {', '.join(absent)}",
            where="universe.yaml, symbols",
            remedy="run ingest with a source that has them, or take the symbols out of universe.yaml",
        )


def _require_admitted(index: pd.DataFrame, symbols: list[str], exclusions: list[Exclusion], window: Window) -> None:
    """Every symbol keeps at least one partition."""
    kept = set(index.loc[index[ADMITTED], "symbol"])
    empty = [symbol for symbol in symbols if symbol not in kept]
    if not empty:
        return
    reasons = {each.reason for each in exclusions if each.symbol in empty and each.reason != "outside_window"}
    raise BlockedError(
        "CATALOG_PARTITIONS_EXCLUDED",
        f"all partitions of {'every symbol' if not kept else ', '.join(empty)} from {window.first_month} to"
        f" {window.last_month} are left out: {', '.join(sorted(reasons)) or 'none lies in that window'}",
        where="lake, __quarantine.json and __meta.json of the months",
        remedy="import better or newer bars, or mend dq_thresholds of pipeline_policy.yaml and run ingest again",
    )


def _require_history(bars: dict[str, pd.DataFrame], settings: Settings, exclusions: list[Exclusion]) -> None:
    needed = settings.pipeline_policy.dq_thresholds.min_history_bars
    short = {symbol: len(frame) for symbol, frame in bars.items() if len(frame) < needed}
    if short:
        named = ", ".join(f"{symbol} ({count})" for symbol, count in short.items())
        lost = sum(each.symbol in short and each.reason not in _BY_DESIGN for each in exclusions)
        raise BlockedError(
            "CATALOG_HISTORY_SHORT",
            f"fewer than {needed} usable bars: {named}; {lost} months of theirs are left out for their quality",
            where="lake",
            remedy="import a longer or better history, or take the symbols and their pairs out of universe.yaml",
        )


def _identify(context: TaskContext, index: pd.DataFrame, now: datetime.datetime) -> tuple[RunIdentity, RunFolder]:
    """The run's identity; a run that is known keeps the deployed model it was first compared with."""
    settings = context.settings
    hashes = {
        "data_hash": data_hash(index),
        "code_hash": code_hash(REPOSITORY),
        "config_hash": sha256_json(run_configuration(settings)),
    }
    seed = settings.retrain_policy.seed
    version = model_version(now, **hashes, seed=seed)
    run = context.run_folder(version)
    previous = run.read_identity().previous if run.identity.is_file() else _deployed(context)
    identity = RunIdentity(
        run_id=version,
        model_version=version,
        as_of=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        timeframe=settings.pipeline_policy.timeframe_default,
        **hashes,
        seed=seed,
        previous=previous,
    )
    return identity, run


def _deployed(context: TaskContext) -> PreviousModel | None:
    from core.stores.registry import Registry  # noqa: PLC0415 - only for a run seen for the first time

    deployed = Registry(context.variables.postgres_url).deployed()
    return None if deployed is None else PreviousModel(deployed.model_version, deployed.theta1, deployed.theta2)
