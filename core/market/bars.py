"""The canonical bar schema and its validation (SPEC DATA-3, DATA-4)."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import InputError

TS_DTYPE: Final = "datetime64[us, UTC]"
PRICE_COLUMNS: Final[tuple[str, ...]] = ("open", "high", "low", "close")
RAW_COLUMNS: Final[tuple[str, ...]] = ("ts", *PRICE_COLUMNS, "volume")
"""Columns of a symbol's bars as a provider delivers them, before data quality."""
CANONICAL_COLUMNS: Final[tuple[str, ...]] = (*RAW_COLUMNS, "filled", "spike_flag", "quality_flag")
"""Columns of a symbol's bars after data quality."""
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2199
"""Stamps outside these years are a wrong unit or a placeholder."""
QUALITY_FLAGS: Final[tuple[str, ...]] = ("ok", "missing", "outlier", "conflict")

_REMEDY: Final = "mend the source or its description in sources.yaml, then import again"


def epoch_seconds(ts: pd.Series) -> NDArray[np.int64]:
    """Stamps of dtype datetime64[us, UTC] as epoch seconds, int64 (n,)."""
    micros = ts.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return micros // 1_000_000


def stamps(seconds: NDArray[np.int64]) -> pd.Series:
    """Epoch seconds, int64 (n,), as a column `ts` of dtype datetime64[us, UTC]."""
    return pd.Series(seconds.astype("datetime64[s]").astype("datetime64[us]"), name="ts").dt.tz_localize("UTC")


def raw_bars(ts: NDArray[np.int64], ohlc: NDArray[np.float64], volume: NDArray[np.float64]) -> pd.DataFrame:
    """A frame of RAW_COLUMNS from bar opens in epoch seconds UTC (n,), prices (n, 4) and volume (n,)."""
    prices = {name: ohlc[:, at] for at, name in enumerate(PRICE_COLUMNS)}
    return pd.DataFrame({"ts": stamps(ts), **prices, "volume": volume})


def validate_raw_bars(frame: pd.DataFrame, where: str, timeframe_seconds: int) -> None:
    """Accepts bars of RAW_COLUMNS: `ts` datetime64[us, UTC] bar opens on the time frame's grid, strictly increasing,
    of the years FIRST_YEAR to LAST_YEAR; prices float64, finite and positive; low ≤ open, close ≤ high; volume float64,
    finite and not negative.

    `where` names the file or source. Raises InputError naming the first offending row and its stamp.
    """
    _check_columns(frame, RAW_COLUMNS, where)
    _check_values(frame, where, timeframe_seconds)


def validate_bars(frame: pd.DataFrame, where: str, timeframe_seconds: int) -> None:
    """Accepts bars of CANONICAL_COLUMNS: as `validate_raw_bars`, with bool `filled` and `spike_flag` and a
    `quality_flag` out of QUALITY_FLAGS. Raises InputError naming the first offending row and its stamp.
    """
    _check_columns(frame, CANONICAL_COLUMNS, where)
    _check_values(frame, where, timeframe_seconds)
    unknown = ~frame["quality_flag"].isin(QUALITY_FLAGS).to_numpy(dtype=bool)
    _reject(unknown, frame, where, "FLAG", f"quality_flag is none of {', '.join(QUALITY_FLAGS)}")


def _check_columns(frame: pd.DataFrame, expected: tuple[str, ...], where: str) -> None:
    if tuple(frame.columns) != expected:
        raise InputError(
            "DATA_SCHEMA_COLUMNS",
            f"columns are {', '.join(map(str, frame.columns))}; expected {', '.join(expected)}",
            where=where,
            remedy=_REMEDY,
        )
    wanted = dict.fromkeys((*PRICE_COLUMNS, "volume"), "float64")
    wanted["ts"] = TS_DTYPE
    if "filled" in expected:
        wanted |= {"filled": "bool", "spike_flag": "bool"}
    wrong = [
        f"{name} is {frame[name].dtype}, not {dtype}" for name, dtype in wanted.items() if frame[name].dtype != dtype
    ]
    if wrong:
        raise InputError("DATA_SCHEMA_DTYPE", "; ".join(wrong), where=where, remedy=_REMEDY)


def _check_values(frame: pd.DataFrame, where: str, timeframe_seconds: int) -> None:
    _reject(frame["ts"].isna().to_numpy(), frame, where, "STAMP", "the stamp is missing")
    stamped = frame["ts"].to_numpy(dtype="datetime64[us]")
    first, end = np.datetime64(f"{FIRST_YEAR}-01-01"), np.datetime64(f"{LAST_YEAR + 1}-01-01")
    outside = (stamped < first) | (stamped >= end)
    _reject(outside, frame, where, "YEAR", f"the stamp lies outside the years {FIRST_YEAR} to {LAST_YEAR}")
    micros = stamped.astype(np.int64)
    step = np.diff(micros, prepend=micros[:1] - 1)
    _reject(step == 0, frame, where, "DUPLICATE", "the stamp occurs twice")
    _reject(step < 0, frame, where, "UNSORTED", "the stamp is earlier than the one before it")
    off_grid = micros % (timeframe_seconds * 1_000_000) != 0
    _reject(off_grid, frame, where, "GRID", f"the stamp is no multiple of {timeframe_seconds} s after midnight UTC")
    for name in PRICE_COLUMNS:
        price = frame[name].to_numpy()
        _reject(~np.isfinite(price), frame, where, "NOT_FINITE", f"{name} is NaN or infinite")
        _reject(price <= 0.0, frame, where, "NOT_POSITIVE", f"{name} is zero or negative")
    open_, high, low, close = (frame[name].to_numpy() for name in PRICE_COLUMNS)
    _reject(high < low, frame, where, "HIGH_LOW", "high is below low")
    for name, price in (("open", open_), ("close", close)):
        _reject((price > high) | (price < low), frame, where, "RANGE", f"{name} lies outside low … high")
    volume = frame["volume"].to_numpy()
    _reject(~np.isfinite(volume) | (volume < 0.0), frame, where, "VOLUME", "volume is NaN, infinite or negative")


def _reject(bad: NDArray[np.bool_], frame: pd.DataFrame, where: str, code: str, message: str) -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    stamp = frame["ts"].iloc[row]
    others = int(bad.sum()) - 1
    more = f" (and {others} more rows)" if others else ""
    raise InputError(
        f"DATA_SCHEMA_{code}",
        f"{message}{more}",
        where=f"{where}, row {row}, {'no stamp' if pd.isna(stamp) else stamp.isoformat()}",
        remedy=_REMEDY,
    )
