"""Robust scaling by median and MAD of the training rows (SPEC FEAT-1, FEAT-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.config.core_policy import Scaling


@dataclass(frozen=True)
class Scalers:
    """Median, divisor and clip of each of k columns, float64 (k,) each; a column that is not clipped has clip inf."""

    columns: tuple[str, ...]
    median: NDArray[np.float64]
    divisor: NDArray[np.float64]
    clip: NDArray[np.float64]

    def transform(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(x − median)/divisor within ±clip, float64 (m, k)."""
        scaled = (rows - self.median) / self.divisor
        return np.clip(scaled, -self.clip, self.clip)

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """By column name: median, divisor, clip (null: not clipped)."""
        return {
            name: {
                "median": float(self.median[place]),
                "divisor": float(self.divisor[place]),
                "clip": float(self.clip[place]) if np.isfinite(self.clip[place]) else None,
            }
            for place, name in enumerate(self.columns)
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Mapping[str, Any]]) -> Scalers:
        """What `to_dict` gave, in its order of columns."""
        entries = list(content.values())
        return cls(
            columns=tuple(content),
            median=np.array([entry["median"] for entry in entries], dtype=np.float64),
            divisor=np.array([entry["divisor"] for entry in entries], dtype=np.float64),
            clip=np.array([np.inf if entry["clip"] is None else entry["clip"] for entry in entries], dtype=np.float64),
        )


def fit_scalers(rows: NDArray[np.float64], columns: Sequence[str], scaling: Scaling) -> Scalers:
    """Fit on training rows: divisor = mad_factor·MAD, 1 where the MAD is 0.

    Args:
        rows: float64 (m, k), finite, m ≥ 1; the training rows and no other.
        columns: names of the k columns.
        scaling: factor, clip and the names that are clipped.

    Raises:
        ValueError: there is no row.
    """
    if rows.shape[0] == 0:
        raise ValueError("scalers need at least one training row")
    median = np.median(rows, axis=0)
    deviation = np.median(np.abs(rows - median), axis=0)
    divisor = np.where(deviation > 0.0, scaling.mad_factor * deviation, 1.0)
    clip = np.array([scaling.clip if name in scaling.clipped else np.inf for name in columns])
    return Scalers(tuple(columns), median, divisor, clip)
