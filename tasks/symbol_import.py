"""One symbol's bars from its source, through data quality, to partitions beside the lake (SPEC DATA-1, -3, -4)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.config.sources import Simulator
from core.errors import InputError
from core.market.bars import epoch_seconds
from core.market.timeframe import timeframe_seconds
from core.providers.protocol import FetchedBars, MarketDataProvider
from core.providers.selection import configured_providers, folder_providers, provider_of
from core.quality.cleaning import CleanBars, clean_bars, month_names
from core.stores.code_version import code_hash
from core.stores.files import sha256_json
from core.stores.lake import Lake, LakeStager
from core.stores.lake_shards import LakeShards
from core.stores.partition import PartitionKey, Provenance, bars_table, iso
from tasks.as_of import parse_as_of
from tasks.context import REPOSITORY, TaskContext


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

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Imported:
        """From the JSON of its fields."""
        return cls(**{**facts, "quarantined": tuple(facts["quarantined"])})


@dataclass(frozen=True)
class Import:
    """What the import of every symbol shares."""

    context: TaskContext
    lake: Lake
    shards: LakeShards
    symbols: Sequence[str]
    sources: Mapping[str, MarketDataProvider]
    ingest_run_id: str
    as_of: datetime.datetime | None

    @classmethod
    def of(cls, context: TaskContext, data: Path | None, ingest_run_id: str, as_of: str | None) -> Import:
        """Raises InputError where no source has a symbol."""
        settings, lake = context.settings, Lake(context.roots.canonical)
        symbols = sorted(settings.universe.symbols)
        providers = (
            folder_providers(settings.sources, data, symbols)
            if data is not None
            else configured_providers(settings.sources, settings.universe, context.roots.archive)
        )
        files = (settings.universe, settings.pipeline_policy, settings.sources)
        configured = [file.model_dump(mode="json") for file in files]
        depends_on = [ingest_run_id, str(data), as_of, code_hash(REPOSITORY), configured]
        return cls(
            context=context,
            lake=lake,
            shards=LakeShards(lake, settings.pipeline_policy.timeframe_default, sha256_json(depends_on)),
            symbols=symbols,
            sources={symbol: provider_of(symbol, providers) for symbol in symbols},
            ingest_run_id=ingest_run_id,
            as_of=parse_as_of(as_of) if as_of is not None else None,
        )


def import_symbol(job: Import, symbol: str, stager: LakeStager) -> Imported:
    """Fetch, clean and stage one symbol."""
    context, as_of = job.context, job.as_of
    settings = context.settings
    timeframe = settings.pipeline_policy.timeframe_default
    seconds = timeframe_seconds(timeframe)
    fetched = job.sources[symbol].fetch(symbol, timeframe)
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
    _check_watermark(context, job.lake, fetched, iso(int(epoch_seconds(raw["ts"])[-1])))
    calendar = settings.universe.calendars[settings.universe.symbols[symbol].calendar]
    thresholds = settings.pipeline_policy.dq_thresholds
    clean = clean_bars(raw, calendar, seconds, thresholds)
    provenance = Provenance(fetched.source, fetched.fetched_at, job.ingest_run_id, fetched.price_side)
    oldest = months_back(max(clean.months), settings.pipeline_policy.history_lookback_months)
    return _stage(stager, timeframe, symbol, clean, oldest=oldest, provenance=provenance, owner=thresholds.owner)


def _stage(
    stager: LakeStager,
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
        unchanged += not stager.stage(key, bars, clean.months[month], provenance, owner)
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
    simulated = simulators(context)
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


def simulators(context: TaskContext) -> set[str]:
    """Names of the sources that make their bars up."""
    return {provider.name for provider in context.settings.sources.providers if isinstance(provider, Simulator)}


def months_back(newest: str, months: int) -> str:
    """The first of `months` months of which `newest` (YYYY-MM) is the last."""
    return str(np.datetime64(newest, "M") - (months - 1))
