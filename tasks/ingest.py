"""ingest: bars of every symbol of the universe, through data quality, into the lake (SPEC DATA-1, -3, -4, -5)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from core.market.timeframe import timeframe_seconds
from core.stores.lake import LakeWriter
from core.stores.partition import PartitionKey, iso
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.servers import require_servers
from tasks.shard import Shard, ShardOption
from tasks.symbol_import import Import, Imported, import_symbol, months_back, simulators

app = typer.Typer()


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
    shard: ShardOption = None,
) -> None:
    """Import bars into the canonical lake.

    Takes the newest `history_lookback_months` of every symbol from the source of highest priority that has it, applies
    the data-quality rules and writes the months that changed. Running it again with the same bars writes nothing.

    With --shard it makes some symbols ready and publishes nothing: several may work at once, on several machines, and
    the import of the same id publishes what they made ready.

    Example: python -m tasks --config configs ingest --data ../bars
    """

    def body(context: TaskContext) -> TaskResult:
        require_servers(context)
        import_id = ingest_run_id or context.trace_id
        if shard is not None:
            return stage_bars(context, data, import_id, as_of, shard)
        return import_bars(context, data, import_id, as_of)

    run_task(command, "ingest", body, shard)


def import_bars(context: TaskContext, data: Path | None, ingest_run_id: str, as_of: str | None) -> TaskResult:
    """The task's body. Either every symbol's bars are good and all changed months are published, or none is.

    Symbols that shards of this import have staged are taken over; what any shard has staged is gone afterwards.

    Raises:
        InputError: bars that cannot be read or are invalid, too little history, bars older than the lake's, a simulated
            market over real bars or the reverse.
        TransientError: another ingest runs, or the disk is full.
    """
    settings = context.settings
    job = Import.of(context, data, ingest_run_id, as_of)
    with job.lake.writing(f"ingest {ingest_run_id}") as writer:
        try:
            staged = {symbol: found for symbol in job.symbols if (found := job.shards.find(symbol)) is not None}
            imports: list[Imported] = []
            for found in staged.values():
                job.shards.hand_over(found, writer)
                _imported(job, imports, Imported.from_facts(found.facts), len(job.symbols))
            rest = [symbol for symbol in job.symbols if symbol not in staged]
            for each in _each_symbol(job, rest, lambda symbol: import_symbol(job, symbol, writer)):
                _imported(job, imports, each, len(job.symbols))
            imports.sort(key=lambda each: each.symbol)
            oldest = months_back(
                max(max(each.bars) for each in imports), settings.pipeline_policy.history_lookback_months
            )
            _check_history(context, imports, oldest)
            published = writer.publish(oldest)
            removed = _expire(context, writer, imports, oldest)
        finally:
            job.shards.discard()
    return _result(context, imports, published, removed, oldest, job.as_of)


def stage_bars(
    context: TaskContext, data: Path | None, ingest_run_id: str, as_of: str | None, shard: Shard
) -> TaskResult:
    """The body of one part of an import: symbols fetched, cleaned and staged beside the lake, none published.

    Raises as `import_bars` does.
    """
    job = Import.of(context, data, ingest_run_id, as_of)
    symbols = shard.part(job.symbols)
    imports: list[Imported] = []
    with job.lake.sharing(f"ingest {ingest_run_id}, shard {shard}"):
        missing = [symbol for symbol in symbols if job.shards.find(symbol) is None]

        def stage(symbol: str) -> Imported:
            with job.shards.staging(symbol) as staging:
                imported = import_symbol(job, symbol, staging.stager)
                staging.keep(asdict(imported))
            return imported

        for each in _each_symbol(job, missing, stage):
            _imported(job, imports, each, len(missing))
    return TaskResult(outputs={"shard": str(shard), "symbols": len(symbols), "symbols_staged": len(imports)})


def _each_symbol(job: Import, symbols: Sequence[str], work: Callable[[str], Imported]) -> Iterator[Imported]:
    """The symbols as they come in, several at a time; at the first fault the rest are given up."""
    with ThreadPoolExecutor(max_workers=job.context.settings.retrain_policy.workers) as pool:
        futures = [pool.submit(work, symbol) for symbol in symbols]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _imported(job: Import, imports: list[Imported], imported: Imported, most: int) -> None:
    """Take note of a symbol, and tell how far the import is."""
    imports.append(imported)
    job.context.log.info("symbol_imported", symbol=imported.symbol, last_ts=iso(imported.last_ts))
    job.context.progress.advance(len(imports), most, "symbols")


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
    kept_from = months_back(newest, settings.data_retention.canonical_months)
    simulated = simulators(context)
    removed = [
        PartitionKey(timeframe, each.symbol, month)
        for each in imports
        for month in writer.lake.months(timeframe, each.symbol)
        if month < kept_from or (each.source in simulated and (month < oldest or month not in each.bars))
    ]
    for key in removed:
        writer.remove(key)
    return removed


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
            "simulated": bool(set(sources) & simulators(context)),
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
    elif {each.source for each in imports} & simulators(context):
        metrics["as_of"] = float(max(closes))
    return metrics
