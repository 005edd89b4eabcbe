"""Which partitions of the lake a run may use, and why not the others (SPEC CAT-2, CAT-3)."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from core.config.pipeline_policy import DqThresholds

INDEX_COLUMNS: Final[tuple[str, ...]] = (
    "timeframe",
    "symbol",
    "year",
    "month",
    "last_ts",
    "bars_written",
    "missing_gaps",
    "filled_bars",
    "outlier_bars",
    "spike_flags",
    "quarantine_flag",
    "data_hash",
)
"""One row a partition: text, int64 counts, bool flag, `last_ts` datetime64[us, UTC], open of its newest bar."""
ADMITTED: Final = "admitted"


@dataclass(frozen=True)
class Window:
    """The months a run uses (YYYY-MM, both included) and the open of the newest bar it may see."""

    first_month: str
    last_month: str
    last_open: datetime.datetime


@dataclass(frozen=True)
class Exclusion:
    """Why one month of a symbol is left out; `observed` and `threshold` where a limit was crossed."""

    symbol: str
    month: str
    reason: str
    observed: float | None
    threshold: float | None


def history_window(as_of: datetime.datetime, history_months: int, timeframe_seconds: int) -> Window:
    """The newest `history_months` before `as_of`, widened to whole months at its start."""
    last_open = as_of - datetime.timedelta(seconds=timeframe_seconds)
    start = pd.Timestamp(as_of) - pd.DateOffset(months=history_months)
    return Window(f"{start:%Y-%m}", f"{last_open:%Y-%m}", last_open)


def admit(
    index: pd.DataFrame, window: Window, symbols: Collection[str], thresholds: DqThresholds
) -> tuple[pd.DataFrame, list[Exclusion]]:
    """Mark the partitions a run may use.

    Args:
        index: INDEX_COLUMNS.
        symbols: the universe's symbols.

    Returns:
        The index with a bool column `admitted`; `last_ts` of the last month ends at the window. And an exclusion for
        each reason a partition is left out, or a month between a symbol's first and last is not there at all.
    """
    month = index["year"].astype(str) + "-" + index["month"].map("{:02d}".format)
    exclusions = [
        exclusion
        for row, name in zip(index.itertuples(index=False), month, strict=True)
        for exclusion in _reasons(row, name, window, symbols, thresholds)
    ]
    left_out = {(exclusion.symbol, exclusion.month) for exclusion in exclusions}
    admitted = [(symbol, name) not in left_out for symbol, name in zip(index["symbol"], month, strict=True)]
    limit = pd.Timestamp(window.last_open)
    marked = index.assign(**{ADMITTED: np.array(admitted, dtype=np.bool_)})
    cut = marked[ADMITTED] & (marked["last_ts"] > limit)
    marked["last_ts"] = marked["last_ts"].mask(cut, limit).astype(index["last_ts"].dtype)
    exclusions += _absent(index, month, window, symbols)
    return marked, sorted(exclusions, key=lambda each: (each.symbol, each.month, each.reason))


def _reasons(
    row: tuple[object, ...], month: str, window: Window, symbols: Collection[str], thresholds: DqThresholds
) -> Iterator[Exclusion]:
    symbol, bars = row.symbol, row.bars_written  # type: ignore[attr-defined]
    if symbol not in symbols:
        yield Exclusion(symbol, month, "not_in_universe", None, None)
    if not window.first_month <= month <= window.last_month:
        yield Exclusion(symbol, month, "outside_window", None, None)
    if row.quarantine_flag:  # type: ignore[attr-defined]
        yield Exclusion(symbol, month, "quarantine", None, None)
    rates = (
        ("missing_rate", row.missing_gaps / bars, thresholds.missing_rate),  # type: ignore[attr-defined]
        ("outlier_rate", row.outlier_bars / bars, thresholds.outlier_rate),  # type: ignore[attr-defined]
    )
    for reason, observed, threshold in rates:
        if observed > threshold:
            yield Exclusion(symbol, month, reason, observed, threshold)


def _absent(index: pd.DataFrame, month: pd.Series, window: Window, symbols: Collection[str]) -> Iterator[Exclusion]:
    for symbol, months in month.groupby(index["symbol"]):
        if symbol not in symbols:
            continue
        present = set(months)
        first, last = max(min(present), window.first_month), min(max(present), window.last_month)
        if first > last:
            continue
        every = np.arange(np.datetime64(first, "M"), np.datetime64(last, "M") + 1)
        for name in every.astype(str).tolist():
            if name not in present:
                yield Exclusion(str(symbol), name, "absent", None, None)
