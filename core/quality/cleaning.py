"""From a provider's bars to canonical bars, with what was found in each month (SPEC DATA-3, DATA-4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.config.pipeline_policy import DqThresholds
from core.config.universe import Calendar
from core.market.bars import CANONICAL_COLUMNS, epoch_seconds
from core.market.calendar import ExpectedBars, Hole, expected_bars, find_holes
from core.quality.changes import HELD, JUMP, OUTLIER, classify_changes
from core.quality.filling import can_fill, fill_holes

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class MonthCounts:
    """What `__meta.json` counts.

    `missing_gaps` are the bars absent inside trading hours, filled or not, without those taken away as outliers;
    `outlier_bars` those taken away; `filled_bars` and `spike_flags` are rows of the partition that carry the flag.
    """

    bars_written: int
    missing_gaps: int
    filled_bars: int
    outlier_bars: int
    spike_flags: int


@dataclass(frozen=True)
class Finding:
    """One reason to quarantine a month: what was counted, its limit, and the bars it is about (epoch seconds UTC)."""

    reason: str
    threshold: float
    observed: float
    first: int
    last: int


@dataclass(frozen=True)
class MonthQuality:
    counts: MonthCounts
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class CleanBars:
    """Canonical bars of one symbol and the quality of each month, keyed `YYYY-MM` (UTC month of the bar's open).

    `held` is the open (epoch seconds UTC) of a suspicious newest bar: it is not among `bars` and is decided when the
    next one is known.
    """

    bars: pd.DataFrame
    months: Mapping[str, MonthQuality]
    held: int | None


def clean_bars(raw: pd.DataFrame, calendar: Calendar, timeframe_seconds: int, thresholds: DqThresholds) -> CleanBars:
    """Apply the data-quality rules to one symbol.

    Outliers are taken away first; then holes of at most `max_filled_gap_bars` inside a session are filled, whether a
    bar never came or was an outlier. Longer holes, and those that reach a session's edge beyond its tolerance, stay
    open and put their months into quarantine; an outlier at the very edge only shortens its session. A bar outside the
    calendar's sessions stays as it is.

    Args:
        raw: RAW_COLUMNS, valid by `validate_raw_bars`, with at least one bar.
    """
    ts = epoch_seconds(raw["ts"])
    verdict = classify_changes(
        raw["close"].to_numpy(np.float64),
        thresholds.outlier_sigma,
        thresholds.outlier_window_bars,
        thresholds.outlier_min_bars,
    )
    kept = (verdict != OUTLIER) & (verdict != HELD)
    bars = _canonical(raw[kept], verdict[kept] == JUMP)
    present, outliers = ts[kept], ts[verdict == OUTLIER]
    expected = expected_bars(calendar, timeframe_seconds, int(present[0]), int(present[-1]) + timeframe_seconds)
    holes = find_holes(expected, present, calendar.edge_tolerance_bars)
    fillable = [hole for hole in holes if can_fill(hole, expected, thresholds.max_filled_gap_bars)]
    unfilled = [hole for hole in holes if hole not in fillable and not _trimmed(hole, expected, outliers, calendar)]
    filled = fill_holes(bars, fillable, frozenset(outliers.tolist()), timeframe_seconds)
    missing = _missing(holes, outliers, timeframe_seconds)
    months = _months(
        filled,
        missing=missing,
        outliers=outliers,
        unfilled=unfilled,
        timeframe_seconds=timeframe_seconds,
        thresholds=thresholds,
    )
    held = int(ts[-1]) if verdict[-1] == HELD else None
    return CleanBars(filled, months, held)


def month_names(ts: Ints) -> NDArray[np.str_]:
    """`YYYY-MM` (UTC) of each stamp in epoch seconds, (n,)."""
    return np.datetime_as_string(ts.astype("datetime64[s]"), unit="M")


def _canonical(raw: pd.DataFrame, spikes: NDArray[np.bool_]) -> pd.DataFrame:
    frame = raw.reset_index(drop=True).assign(filled=False, spike_flag=spikes)
    frame["quality_flag"] = pd.Series(["ok"] * len(frame), dtype="str")
    return frame[list(CANONICAL_COLUMNS)]


def _trimmed(hole: Hole, expected: ExpectedBars, outliers: Ints, calendar: Calendar) -> bool:
    """Whether a hole at a session's edge is within tolerance once the outliers taken away are left aside."""
    at = int(np.searchsorted(expected.opens, hole.first))
    last = at + hole.bars - 1
    at_edge = expected.since_open[at] == 0 or expected.until_close[last] == 0
    taken = int(np.isin(expected.opens[at : last + 1], outliers).sum())
    return bool(at_edge and taken > 0 and hole.bars - taken <= calendar.edge_tolerance_bars)


def _missing(holes: list[Hole], outliers: Ints, timeframe_seconds: int) -> Ints:
    opens = [np.arange(hole.bars, dtype=np.int64) * timeframe_seconds + hole.first for hole in holes]
    return np.setdiff1d(np.concatenate(opens), outliers) if opens else np.empty(0, dtype=np.int64)


def _months(
    bars: pd.DataFrame,
    *,
    missing: Ints,
    outliers: Ints,
    unfilled: list[Hole],
    timeframe_seconds: int,
    thresholds: DqThresholds,
) -> dict[str, MonthQuality]:
    ts = epoch_seconds(bars["ts"])
    month = month_names(ts)
    missing_month, outlier_month = month_names(missing), month_names(outliers)
    filled, spikes = bars["filled"].to_numpy(), bars["spike_flag"].to_numpy()
    spans = [(hole, hole.first + (hole.bars - 1) * timeframe_seconds) for hole in unfilled]
    result: dict[str, MonthQuality] = {}
    names, starts = np.unique(month, return_index=True)
    for name, start, end in zip(names.tolist(), starts, [*starts[1:], len(ts)], strict=True):
        counts = MonthCounts(
            bars_written=int(end - start),
            missing_gaps=int((missing_month == name).sum()),
            filled_bars=int(filled[start:end].sum()),
            outlier_bars=int((outlier_month == name).sum()),
            spike_flags=int(spikes[start:end].sum()),
        )
        touching = [
            (hole.first, last)
            for hole, last in spans
            if month_names(np.array([hole.first]))[0] <= name <= month_names(np.array([last]))[0]
        ]
        findings = []
        if len(touching) > thresholds.max_unfilled_gaps:
            findings.append(
                Finding("unfilled_gaps", thresholds.max_unfilled_gaps, len(touching), touching[0][0], touching[-1][1])
            )
        if counts.bars_written < thresholds.min_partition_bars:
            first, last = int(ts[start]), int(ts[end - 1])
            findings.append(Finding("too_few_bars", thresholds.min_partition_bars, counts.bars_written, first, last))
        result[name] = MonthQuality(counts, tuple(findings))
    return result
