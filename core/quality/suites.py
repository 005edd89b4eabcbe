"""What the gates expect of bars, index, features and predictions (SPEC CAT-4), as pure definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from core.config.core_policy import FeatureWindows, PositionScale
from core.config.pipeline_policy import DqThresholds
from core.market.bars import CANONICAL_COLUMNS, PRICE_COLUMNS, QUALITY_FLAGS

_ROUNDING: Final = 1e-9
_HUGE: Final = 1e9


@dataclass(frozen=True)
class Expectation:
    """One expectation by its Great Expectations name and arguments."""

    kind: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Suite:
    """A named set of expectations on one frame."""

    name: str
    expectations: tuple[Expectation, ...]


def canonical_suite(thresholds: DqThresholds) -> Suite:
    """Canonical bars of all symbols: CANONICAL_COLUMNS and `symbol`."""
    return Suite(
        "canonical",
        (
            _rows(1),
            *(_not_null(name) for name in (*CANONICAL_COLUMNS, "symbol")),
            _unique("symbol", "ts"),
            *(_between(name, 0.0, _HUGE, strict_min=True) for name in PRICE_COLUMNS),
            *(_at_least("high", name) for name in ("open", "close", "low")),
            *(_at_least(name, "low") for name in ("open", "close")),
            _between("volume", 0.0, 1e15),
            _one_of("quality_flag", QUALITY_FLAGS),
            _mean("filled", thresholds.missing_rate + thresholds.outlier_rate),
        ),
    )


def index_suite(thresholds: DqThresholds) -> Suite:
    """The admitted rows of the index: INDEX_COLUMNS."""
    counts = ("missing_gaps", "filled_bars", "outlier_bars", "spike_flags")
    return Suite(
        "index",
        (
            _rows(1),
            *(_not_null(name) for name in ("timeframe", "symbol", "year", "month", "last_ts", "data_hash")),
            _unique("timeframe", "symbol", "year", "month"),
            _between("month", 1, 12),
            _between("bars_written", thresholds.min_partition_bars, _HUGE),
            *(_between(name, 0, _HUGE) for name in counts),
            *(_at_least("bars_written", name) for name in counts),
            _one_of("quarantine_flag", (False,)),
            _matches("data_hash", r"^[0-9a-f]{64}$"),
        ),
    )


def features_suite(windows: FeatureWindows) -> Suite:
    """Complete rows (no NaN) of the feature set, unscaled: FEATURE_COLUMNS, `pair_id` and `ts`.

    The bound of z is the largest distance of one of n values from their mean in units of their sd, (n − 1)/√n.
    """
    z = (windows.z - 1) / math.sqrt(windows.z) + _ROUNDING
    ranges: dict[str, tuple[float, float]] = {
        "beta": (-_HUGE, _HUGE),
        "spread": (-_HUGE, _HUGE),
        "z": (-z, z),
        "dz": (-2 * z, 2 * z),
        "z_ema": (-z, z),
        "speed": (0.0, 2 * z),
        "atr_a": (0.0, 1.0),
        "atr_b": (0.0, 1.0),
        "atr_ratio": (1.0 - _ROUNDING, _HUGE),
        "atr_spread": (0.0, _HUGE),
        "half_life": (1.0, windows.half_life_max),
        "rho_rolling": (-1.0 - _ROUNDING, 1.0 + _ROUNDING),
        "rho_var": (0.0, 2.0),
        "beta_stability": (0.0, _HUGE),
        "ema_gap_spread": (-_HUGE, _HUGE),
        "slope_spread": (-_HUGE, _HUGE),
        "rsi_spread": (-_ROUNDING, 100.0 + _ROUNDING),
        "dd_recent": (0.0, _HUGE),
        "filled_share": (0.0, 1.0),
        "spike_share": (0.0, 1.0),
    }
    return Suite(
        "features",
        (
            _rows(1),
            *(_not_null(name) for name in ("pair_id", "ts", *ranges)),
            _unique("pair_id", "ts"),
            *(_between(name, low, high) for name, (low, high) in ranges.items()),
        ),
    )


def predictions_suite(scale: PositionScale) -> Suite:
    """Out-of-sample predictions, one row a start; ai1, ai2 and ai3 are null where the window is cut off."""
    known = ("pair_id", "ts", "step", "z", "return_prob", "risk_score", "excursion", "position_scale")
    return Suite(
        "predictions",
        (
            _rows(1),
            *(_not_null(name) for name in known),
            _unique("pair_id", "ts"),
            _matches("step", r"^\d{4}-\d{2}$"),
            _between("return_prob", 0.0, 1.0),
            _between("risk_score", 0.0, 1.0),
            _between("excursion", 0.0, _HUGE),
            _between("position_scale", scale.minimum, scale.maximum),
            _one_of("ai1", (0.0, 1.0)),
            _one_of("ai2", (0.0, 1.0)),
            _between("ai3", 0.0, _HUGE),
        ),
    )


def _expect(kind: str, **arguments: Any) -> Expectation:
    return Expectation(kind, MappingProxyType(arguments))


def _rows(minimum: int) -> Expectation:
    return _expect("expect_table_row_count_to_be_between", min_value=minimum)


def _not_null(column: str) -> Expectation:
    return _expect("expect_column_values_to_not_be_null", column=column)


def _unique(*columns: str) -> Expectation:
    return _expect("expect_compound_columns_to_be_unique", column_list=list(columns))


def _between(column: str, low: float, high: float, *, strict_min: bool = False) -> Expectation:
    kind = "expect_column_values_to_be_between"
    return _expect(kind, column=column, min_value=low, max_value=high, strict_min=strict_min)


def _at_least(larger: str, smaller: str) -> Expectation:
    kind = "expect_column_pair_values_a_to_be_greater_than_b"
    return _expect(kind, column_A=larger, column_B=smaller, or_equal=True)


def _one_of(column: str, values: tuple[Any, ...]) -> Expectation:
    return _expect("expect_column_values_to_be_in_set", column=column, value_set=list(values))


def _matches(column: str, pattern: str) -> Expectation:
    return _expect("expect_column_values_to_match_regex", column=column, regex=pattern)


def _mean(column: str, high: float) -> Expectation:
    return _expect("expect_column_mean_to_be_between", column=column, min_value=0.0, max_value=high)
