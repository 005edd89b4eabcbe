"""What preprocess_report.json says: imputed and excluded bars of each pair (SPEC FEAT-3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars


def preprocessing_report(bars: Mapping[str, PairBars], tables: Mapping[str, FeatureTable]) -> dict[str, Any]:
    """Counts by pair: bars, segments, filled and spike bars, rows left out because a feature is NaN, and which."""
    return {"pairs": {pair_id: _of_pair(bars[pair_id], tables[pair_id]) for pair_id in sorted(bars)}}


def _of_pair(bars: PairBars, table: FeatureTable) -> dict[str, Any]:
    absent = np.isnan(table.values)
    return {
        "bars": len(bars),
        "segments": int(np.unique(bars.segment).size),
        "imputed": {"filled_bars": int((bars.filled > 0).sum())},
        "flagged": {"spike_bars": int((bars.spike > 0).sum())},
        "excluded": {
            "rows_with_nan": int(absent.any(axis=1).sum()),
            "nan_by_column": {
                name: int(count) for name, count in zip(FEATURE_COLUMNS, absent.sum(axis=0), strict=True)
            },
        },
        "rows": int((~absent.any(axis=1)).sum()),
    }
