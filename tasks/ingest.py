"""ingest: bars of every symbol of the universe, through data quality, into the lake (SPEC DATA-1, -3, -4, -5)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from core.config.sources import Simulator
from core.errors import InputError
from core.market.bars import epoch_seconds
from core.market.timeframe import timeframe_seconds
from core.providers.protocol import FetchedBars, MarketDataProvider
from core.providers.selection import configured_providers, folder_providers, provider_of
from core.quality.cleaning import CleanBars, clean_bars, month_names
from core.stores.lake import Lake, LakeWriter
from core.stores.partition import PartitionKey, Provenance, bars_table, iso
from tasks.app import run_task
from tasks.as_of import parse_as_of
from tasks.context import TaskContext, TaskResult
from tasks.servers import require_servers

app = typer.Typer()


@dataclass(frozen=True)
class Imported:
    """One symbol, cleaned and staged: bars and findings of its newest months, by month."""

    symbol: str
    source: str
    bars: dict[str, int]
    quarantined: tuple[str, ...]
    unchanged: int
    last_ts: int
    held: int | None


@app.command()
def ingest(
    command: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Folder of Parquet or CSV files to import instead of the configured sources.")
    ] = None,
    ingest_run_id: Annotated[
        str | None, typer.Option(help="Written to each new bar's provenance; the trace id when not given.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="ISO 8601 instant with its offset: leave out bars that had not closed by then.")
    ] = None,
) -> None:
    """Import bars into the canonical lake.

    Takes the newest `history_lookback_months` of every symbol from the source of highest priority that has it, applies
    the data-quality rules and writes the months that changed. Running it again with the same bars writes nothing.

    Example: python -m tasks --config configs ingest --data ../bars
    """

    def body(context: TaskContext) -> TaskResult:
        require_servers(context)
        return import_bars(context, data, ingest_run_id or context.trace_id, as_of)

    run_task(command, "ingest", body)


def import_bars(context: TaskContext, data: Path | None, ingest_run_id: str, as_of: str | None) -> TaskResult:
    """The task's body. Either every symbol's bars are good and all changed months are published, or none is.

    Raises:
        InputError: bars that cannot be read or are invalid, too little history, bars older than the lake's, a simulated
            market over real bars or the reverse.
        TransientError: another ingest runs, or the disk is full.
    """
    settings, log = context.settings, context.log
    symbols = sorted(settings.universe.symbols)
    providers = (
        folder_providers(settings.sources, data, symbols)
        if data is not None
        else configured_providers(settings.sources, settings.universe, context.roots.archive)
    )
    sources = {symbol: provider_of(symbol, providers) for symbol in symbols}
    cut = parse_as_of(as_of) if as_of is not None else None
    lake = Lake(context.roots.canonical)
    with lake.writing(f"ingest {ingest_run_id}") as writer:
        imports: list[Imported] = []
        job = _Import(context, writer, ingest_run_id, cut)
        with ThreadPoolExecutor(max_workers=settings.retrain_policy.workers) as pool:
            futures = [pool.submit(_import_symbol, job, symbol, sources[symbol]) for symbol in symbols]
            try:
                for future in as_completed(futures):
                    imports.append(future.result())
                    log.info("symbol_imported", symbol=imports[-1].symbol, last_ts=iso(imports[-1].last_ts))
                    context.progress.advance(len(imports), len(symbols), "symbols")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        imports.sort(key=lambda each: each.symbol)
        oldest = _months_back(max(max(each.bars) for each in imports), settings.pipeline_policy.history_lookback_months)
        _check_history(context, imports, oldest)
        published = writer.publish(oldest)
        removed = _expire(context, writer, imports, oldest)
    return _result(context, imports, published, removed, oldest, cut)


@dataclass(frozen=True)
class _Import:
    """What the import of every symbol shares."""

    context: TaskContext
    writer: LakeWriter
    ingest_run_id: str
    as_of: datetime.datetime | None


def _import_symbol(job: _Import, symbol: str, provider: MarketDataProvider) -> Imported:
    """Fetch, clean and stage one symbol."""
    context, as_of = job.context, job.as_of
    settings = context.settings
    timeframe = settings.pipeline_policy.timeframe_default
    seconds = timeframe_seconds(timeframe)
    fetched = provider.fetch(symbol, timeframe)
    raw = fetched.frame
    if as_of is not None:
        raw = raw[epoch_seconds(raw["ts"]) + seconds <= as_of.timestamp()]
    if raw.empty:
        raise InputError(
            "DATA_HISTORY_SHORT",
            f"no bar of {symbol} had closed by {as_of}",
            where=f"source {fetched.source}",
            remedy="give a later --as-of",
        )
    _check_watermark(context, job.writer.lake, fetched, iso(int(epoch_seconds(raw["ts"])[-1])))
    calendar = settings.universe.calendars[settings.universe.symbols[symbol].calendar]
    thresholds = settings.pipeline_policy.dq_thresholds
    clean = clean_bars(raw, calendar, seconds, thresholds)
    provenance = Provenance(fetched.source, fetched.fetched_at, job.ingest_run_id, fetched.price_side)
    oldest = _months_back(max(clean.months), settings.pipeline_policy.history_lookback_months)
    return _stage(job.writer, timeframe, symbol, clean, oldest=oldest, provenance=provenance, owner=thresholds.owner)


def _stage(
    writer: LakeWriter,
    timeframe: str,
    symbol: str,
    clean: CleanBars,
    *,
    oldest: str,
    provenance: Provenance,
    owner: str,
) -> Imported:
    ts = epoch_seconds(clean.bars["ts"])
    month_of = month_names(ts)
    table = bars_table(clean.bars)
    unchanged = 0
    months = sorted(month for month in clean.months if month >= oldest)
    for month in months:
        start, end = np.searchsorted(month_of, [month, month + "~"])
        bars = table.slice(start, end - start)
        key = PartitionKey(timeframe, symbol, month)
        unchanged += not writer.stage(key, bars, clean.months[month], provenance, owner)
    return Imported(
        symbol=symbol,
        source=provenance.source,
        bars={month: clean.months[month].counts.bars_written for month in months},
        quarantined=tuple(month for month in months if clean.months[month].findings),
        unchanged=unchanged,
        last_ts=int(ts[-1]),
        held=clean.held,
    )


def _check_watermark(context: TaskContext, lake: Lake, fetched: FetchedBars, last_ts: str) -> None:
    """Refuse to mix a simulated market with real bars, or to go back behind the lake's newest real bar."""
    watermark = lake.watermark(context.settings.pipeline_policy.timeframe_default, fetched.symbol)
    if watermark is None:
        return
    simulated = _simulators(context)
    if (watermark.source in simulated) != (fetched.source in simulated):
        raise InputError(
            "LAKE_SOURCE_MIXED",
            f"the lake holds bars of {fetched.symbol} from {watermark.source}; bars from {fetched.source} would mix a"
            " simulated market with a real one",
            where=str(lake.root / context.settings.pipeline_policy.timeframe_default / fetched.symbol),
            remedy="use another ARCHIVE_PATH (STATE=<folder> of make run), or `make clean`",
        )
    if fetched.source not in simulated and last_ts < watermark.last_ts:
        raise InputError(
            "LAKE_IMPORT_BEHIND",
            f"the import of {fetched.symbol} ends at {last_ts}, before the lake's newest bar {watermark.last_ts}",
            where=f"source {fetched.source}",
            remedy="import bars that reach further, or use another ARCHIVE_PATH (STATE=<folder> of make run)",
        )


def _simulators(context: TaskContext) -> set[str]:
    return {provider.name for provider in context.settings.sources.providers if isinstance(provider, Simulator)}


def _check_history(context: TaskContext, imports: Sequence[Imported], oldest: str) -> None:
    needed = context.settings.pipeline_policy.dq_thresholds.min_history_bars
    counts = {each.symbol: sum(n for month, n in each.bars.items() if month >= oldest) for each in imports}
    short = [f"{symbol} ({count})" for symbol, count in counts.items() if count < needed]
    if short:
        raise InputError(
            "DATA_HISTORY_SHORT",
            f"fewer than {needed} bars since {oldest}: {', '.join(short)}",
            where=f"sources {', '.join(sorted({each.source for each in imports}))}",
            remedy="import a longer history, lower dq_thresholds.min_history_bars of pipeline_policy.yaml, or take the"
            " symbols out of universe.yaml",
        )


def _expire(context: TaskContext, writer: LakeWriter, imports: Sequence[Imported], oldest: str) -> list[PartitionKey]:
    """Remove months past their retention, and months of a simulated market that it no longer has."""
    settings = context.settings
    timeframe = settings.pipeline_policy.timeframe_default
    newest = max(max(each.bars) for each in imports)
    kept_from = _months_back(newest, settings.data_retention.canonical_months)
    simulated = _simulators(context)
    removed = [
        PartitionKey(timeframe, each.symbol, month)
        for each in imports
        for month in writer.lake.months(timeframe, each.symbol)
        if month < kept_from or (each.source in simulated and (month < oldest or month not in each.bars))
    ]
    for key in removed:
        writer.remove(key)
    return removed


def _months_back(newest: str, months: int) -> str:
    """The first of `months` months of which `newest` (YYYY-MM) is the last."""
    return str(np.datetime64(newest, "M") - (months - 1))


def _result(
    context: TaskContext,
    imports: Sequence[Imported],
    published: Sequence[PartitionKey],
    removed: Sequence[PartitionKey],
    oldest: str,
    as_of: datetime.datetime | None,
) -> TaskResult:
    bars = {each.symbol: each.bars for each in imports}
    quarantined = [f"{each.symbol}/{month}" for each in imports for month in each.quarantined if month >= oldest]
    held = {each.symbol: iso(each.held) for each in imports if each.held is not None}
    for name in quarantined:
        context.log.warning("partition_quarantined", partition=name)
    for symbol, ts in held.items():
        context.log.warning("newest_bar_held", symbol=symbol, ts=ts)
    sources = sorted({each.source for each in imports})
    return TaskResult(
        outputs={
            "symbols": len(imports),
            "sources": sources,
            "simulated": bool(set(sources) & _simulators(context)),
            "partitions_written": len(published),
            "partitions_unchanged": sum(each.unchanged for each in imports),
            "partitions_removed": len(removed),
            "bars_written": sum(bars[key.symbol][key.month] for key in published),
            "quarantined": quarantined,
            "held": held,
            "last_ts": iso(max(each.last_ts for each in imports)),
        },
        metrics=_metrics(context, imports, published, as_of),
    )


def _metrics(
    context: TaskContext,
    imports: Sequence[Imported],
    published: Sequence[PartitionKey],
    as_of: datetime.datetime | None,
) -> dict[str, float]:
    """What this import added, and how far the slowest symbol's bars reach (epoch seconds of the newest close).

    `as_of` stands where now is not the clock's: given, or the newest close of a simulated market.
    """
    seconds = timeframe_seconds(context.settings.pipeline_policy.timeframe_default)
    closes = [each.last_ts + seconds for each in imports]
    by_symbol = {each.symbol: each for each in imports}
    metrics = {
        "bars_written": float(sum(by_symbol[key.symbol].bars[key.month] for key in published)),
        "partitions_quarantined": float(sum(key.month in by_symbol[key.symbol].quarantined for key in published)),
        "watermark": float(min(closes)),
    }
    if as_of is not None:
        metrics["as_of"] = as_of.timestamp()
    elif {each.source for each in imports} & _simulators(context):
        metrics["as_of"] = float(max(closes))
    return metrics
