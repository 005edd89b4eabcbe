"""Pairs and feature tables made up for the tests: consistent shapes, plausible values, no market behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.config.core_policy import Ai1Label, Ai2Label, Ai3Label, Decision, Label
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars

HOUR = 3600


def policy(horizon: int = 48, path: str = "rolling") -> Label:
    return Label(
        ai1=Ai1Label.model_validate(
            {"z_entry": 2.0, "z_exit": 0.5, "horizon_bars": horizon, "speed_max": 0.12, "path": path}
        ),
        ai2=Ai2Label(rho_var_max=0.025, atr_ratio_max=1.8, speed_max=0.12, dd_recent_max=0.07, class_weight_max=5.0),
        ai3=Ai3Label(quantile=0.9),
    )


def decision(z_stop: float = 4.0, loss_limit: float = 0.03) -> Decision:
    return Decision(z_stop=z_stop, loss_limit=loss_limit)


def pair_bars(
    close_a: NDArray[np.float64],
    close_b: NDArray[np.float64],
    *,
    pair_id: str = "A_B",
    first_ts: int = 0,
    filled: NDArray[np.uint8] | None = None,
    segment: NDArray[np.int64] | None = None,
) -> PairBars:
    """Bars whose open is the previous close."""
    n = len(close_a)

    def opens(close: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate((close[:1], close[:-1]))

    open_a, open_b = opens(close_a), opens(close_b)
    return PairBars(
        pair_id=pair_id,
        timeframe_seconds=HOUR,
        ts=first_ts + HOUR * np.arange(n, dtype=np.int64),
        open_a=open_a,
        high_a=np.maximum(open_a, close_a),
        low_a=np.minimum(open_a, close_a),
        close_a=close_a,
        open_b=open_b,
        high_b=np.maximum(open_b, close_b),
        low_b=np.minimum(open_b, close_b),
        close_b=close_b,
        filled=np.zeros(n, dtype=np.uint8) if filled is None else filled,
        spike=np.zeros(n, dtype=np.uint8),
        segment=np.zeros(n, dtype=np.int64) if segment is None else segment,
    )


def feature_table(bars: PairBars, **columns: NDArray[np.float64] | float) -> FeatureTable:
    """Features of `bars`: the named columns as given (also alpha, spread_mean, spread_sd), the others 0."""
    n = len(bars)
    held: dict[str, NDArray[np.float64]] = {
        "alpha": np.zeros(n),
        "spread_mean": np.zeros(n),
        "spread_sd": np.ones(n),
    }
    values = np.zeros((n, len(FEATURE_COLUMNS)))
    for name, column in columns.items():
        if name in held:
            held[name] = np.broadcast_to(np.asarray(column, dtype=np.float64), (n,)).copy()
        else:
            values[:, FEATURE_COLUMNS.index(name)] = column
    return FeatureTable(
        pair_id=bars.pair_id,
        ts=bars.ts,
        segment=bars.segment,
        values=values,
        alpha=held["alpha"],
        spread_mean=held["spread_mean"],
        spread_sd=held["spread_sd"],
    )


def random_pair(seed: int, n: int, *, filled_share: float = 0.1, segments: int = 2) -> tuple[PairBars, FeatureTable]:
    """A pair with a wandering z, filled bars and several segments."""
    rng = np.random.default_rng(seed)
    close_a = np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    close_b = np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    z = np.zeros(n)
    for i in range(1, n):
        z[i] = 0.97 * z[i - 1] + rng.normal(0.0, 0.5)
    bars = pair_bars(
        close_a,
        close_b,
        filled=(rng.random(n) < filled_share).astype(np.uint8),
        segment=np.sort(rng.integers(0, segments, n)).astype(np.int64),
    )
    table = feature_table(
        bars,
        z=z,
        beta=rng.normal(1.0, 0.3, n),
        speed=np.abs(rng.normal(0.0, 0.045, n)),
        rho_var=np.abs(rng.normal(0.0, 0.008, n)),
        atr_ratio=1.0 + np.abs(rng.normal(0.0, 0.25, n)),
        dd_recent=np.abs(rng.normal(0.0, 0.025, n)),
        alpha=rng.normal(0.0, 0.01, n),
        spread_mean=rng.normal(0.0, 0.01, n),
        spread_sd=np.abs(rng.normal(0.05, 0.01, n)) + 0.005,
    )
    return bars, table
