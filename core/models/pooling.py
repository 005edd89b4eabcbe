"""Labelled starts of every pair, pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from core.config.core_policy import CorePolicy
from core.config.retrain_policy import CrossValidation
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.labels.ai1 import label_ai1
from core.labels.ai2 import label_ai2
from core.labels.ai3 import label_ai3
from core.labels.exits import scan_paths
from core.labels.starts import find_starts
from core.market.pairs import Ints, PairBars
from core.models.samples import Pool, Samples
from core.models.windows import usable_opens


def pool_pairs(
    bars: Mapping[str, PairBars], tables: Mapping[str, FeatureTable], core: CorePolicy, validation: CrossValidation
) -> Pool:
    """Label every pair's starts and pool them. The order of the mappings does not matter.

    Raises:
        ValueError: no pair, pairs of several time frames, or features that belong to other bars.
    """
    pair_ids = tuple(sorted(bars))
    timeframes = {bars[pair_id].timeframe_seconds for pair_id in pair_ids}
    if len(timeframes) != 1:
        raise ValueError(f"a pool needs pairs of one time frame, not {sorted(timeframes)}")
    parts = [
        _label_pair(number, bars[pair_id], tables[pair_id], core, validation) for number, pair_id in enumerate(pair_ids)
    ]
    pooled = Samples(
        **{field.name: np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Samples)}
    )
    ordered = pooled.take(np.lexsort((pooled.pair, pooled.ts)))
    return Pool(
        pair_ids=pair_ids,
        columns=tuple(core.model_inputs),
        timeline=usable_opens(tables[pair_id] for pair_id in pair_ids),
        timeframe_seconds=timeframes.pop(),
        samples=replace(ordered, number=np.arange(len(ordered))),
    )


def _label_pair(
    number: int, bars: PairBars, table: FeatureTable, core: CorePolicy, validation: CrossValidation
) -> Samples:
    label, horizon = core.label, core.label.ai1.horizon_bars
    starts = find_starts(bars, table, label, core.decision)
    paths = scan_paths(bars, table, starts, label, core.decision)
    inputs = [FEATURE_COLUMNS.index(name) for name in core.model_inputs]
    return Samples(
        number=np.arange(starts.size),
        pair=np.full(starts.shape, number, dtype=np.int64),
        bar=starts,
        ts=bars.ts[starts],
        rows=table.values[starts][:, inputs],
        z=table.column("z")[starts],
        ai1=label_ai1(bars, table, starts, label.ai1),
        ai2=label_ai2(table, starts, label.ai2, horizon),
        ai3=label_ai3(paths, bars.segment, horizon),
        window_start=_closes(bars, starts),
        window_end=_closes(bars, starts + horizon),
        purged_end=_closes(bars, starts + horizon + validation.purge_bars),
        embargoed_start=_closes(bars, starts - validation.embargo_bars),
    )


def _closes(bars: PairBars, index: Ints) -> Ints:
    """When each bar closes; beyond either end of the data bars are counted on at the time frame's pace."""
    inside = np.clip(index, 0, len(bars) - 1)
    return bars.ts[inside] + (index - inside + 1) * bars.timeframe_seconds
