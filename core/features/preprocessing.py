"""What preprocess_report.json says: imputed and excluded bars of each pair (SPEC FEAT-3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars


class PairPreprocessing:
    """Counts of one pair: bars, segments, filled and spike bars, rows left out because a feature is NaN, and which."""

    def __init__(self) -> None:
        self._bars = self._segments = self._filled = self._spike = self._rows = 0
        self._nan = np.zeros(len(FEATURE_COLUMNS), dtype=np.int64)
        self._segment: int | None = None

    def add(self, bars: PairBars, table: FeatureTable) -> None:
        """Count bars that follow those counted, and their features."""
        absent = np.isnan(table.values)
        before = bars.segment[0] - 1 if self._segment is None else self._segment
        self._segments += int(np.count_nonzero(np.diff(bars.segment, prepend=before)))
        self._segment = int(bars.segment[-1])
        self._bars += len(bars)
        self._filled += int((bars.filled > 0).sum())
        self._spike += int((bars.spike > 0).sum())
        self._rows += int((~absent.any(axis=1)).sum())
        self._nan += absent.sum(axis=0)

    def content(self) -> dict[str, Any]:
        """The pair's entry of the report."""
        return {
            "bars": self._bars,
            "segments": self._segments,
            "imputed": {"filled_bars": self._filled},
            "flagged": {"spike_bars": self._spike},
            "excluded": {
                "rows_with_nan": self._bars - self._rows,
                "nan_by_column": dict(zip(FEATURE_COLUMNS, self._nan.tolist(), strict=True)),
            },
            "rows": self._rows,
        }


def preprocessing_report(pairs: Mapping[str, PairPreprocessing]) -> dict[str, Any]:
    """The content of preprocess_report.json."""
    return {"pairs": {pair_id: pairs[pair_id].content() for pair_id in sorted(pairs)}}
