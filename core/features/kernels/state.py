"""Memory of one pair's feature kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.config.core_policy import FeatureWindows
from core.features.kernels.averages import Averages
from core.features.kernels.compiled import record_type
from core.features.kernels.extremes import Extremes
from core.features.kernels.joint import Joint
from core.features.kernels.median import LANES, Median
from core.features.kernels.moments import Moments
from core.features.kernels.share import Share
from core.features.kernels.slope import Slope
from core.market.pairs import Floats

NO_SEGMENT: Final = -1
"""Segment of a kernel that has seen no bar; segments count from 0."""


class Record:
    """Every number that is not in a ring: the bar before, and one record a statistic.

    `beta`, `mean_b` and `mean_a` are the hedge line through the bars up to the one before.

    `code` is the fingerprint of the code that last moved the state.
    """

    code: int
    segment: int
    close_a: float
    close_b: float
    log_a: float
    log_b: float
    spread: float
    z: float
    path: float
    beta: float
    mean_b: float
    mean_a: float
    half_life_max: float
    beta_mean_floor: float
    averages: Averages
    hedge: Joint
    spread_moments: Moments
    atr_ratio: Median
    reversion: Joint
    returns: Joint
    rho_moments: Moments
    beta_moments: Moments
    slope: Slope
    drawdown: Extremes
    filled: Share
    spike: Share


RECORD: Final = record_type(Record)

_RINGS: Final = {
    record_type(Joint): 2,
    record_type(Moments): 1,
    record_type(Median): 1,
    record_type(Slope): 1,
    record_type(Extremes): 2,
    record_type(Share): 1,
}
"""Ring floats a statistic needs for each bar of its window."""


@dataclass(frozen=True)
class KernelState:
    """A structured array of one RECORD and the windows' values (float64); both change in place with each step."""

    record: NDArray[np.void]
    rings: Floats

    def copy(self) -> KernelState:
        """A snapshot that later steps leave alone."""
        return KernelState(self.record.copy(), self.rings.copy())


def new_state(windows: FeatureWindows) -> KernelState:
    """The state of a kernel that has seen no bar."""
    record = np.zeros(1, dtype=RECORD)
    end = 0
    for name, window in _statistics(windows).items():
        slot = record[name]
        slot["window"] = window
        if "weight" in (RECORD[name].names or ()):
            slot["weight"] = 1.0 / window
        stretch = window * _RINGS[RECORD[name]]
        if "stretch" in (RECORD[name].names or ()):
            stretch = slot["stretch"] = -(-window // LANES) * LANES
            slot["places"] = 2 ** (window - 1).bit_length() - 1
        slot["start"] = end
        end += stretch
    record["segment"] = NO_SEGMENT
    record["half_life_max"] = windows.half_life_max
    record["beta_mean_floor"] = windows.beta_mean_floor
    _set_averages(record["averages"], windows)
    return KernelState(record, np.full(end, np.nan))


def _statistics(windows: FeatureWindows) -> dict[str, int]:
    """Window of each statistic, in bars."""
    return {
        "hedge": windows.beta,
        "spread_moments": windows.z,
        "atr_ratio": windows.atr_ratio,
        "reversion": windows.half_life,
        "returns": windows.rho,
        "rho_moments": windows.rho_var,
        "beta_moments": windows.beta_stability,
        "slope": windows.slope,
        "drawdown": windows.dd_recent,
        "filled": windows.quality,
        "spike": windows.quality,
    }


def _set_averages(averages: NDArray[np.void], windows: FeatureWindows) -> None:
    ema = {
        "z_ema": windows.z_ema,
        "speed": windows.speed,
        "ema_fast": windows.ema_fast,
        "ema_slow": windows.ema_slow,
    }
    wilder = {
        "atr_a": windows.atr,
        "atr_b": windows.atr,
        "atr_spread": windows.atr,
        "gain": windows.rsi,
        "loss": windows.rsi,
    }
    for name, window in (ema | wilder).items():
        averages[name]["window"] = window
        averages[name]["rate"] = 2.0 / (window + 1.0) if name in ema else 1.0 / window
        averages[name]["value"] = np.nan
