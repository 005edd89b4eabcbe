"""The features as one writes them in polars: expressions over one frame, on all its threads."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.config.core_policy import FeatureWindows
from core.market.pairs import PairBars


def polars_features(bars: PairBars, windows: FeatureWindows) -> dict[str, NDArray[np.float64]]:
    """FEATURE_COLUMNS of bars that are one segment."""
    names = ("high_a", "low_a", "close_a", "high_b", "low_b", "close_b", "filled", "spike")
    a, b, spread, z, change, before = (pl.col(name) for name in ("a", "b", "spread", "z", "change", "before"))
    rho, beta, path, relative, phi, sd = (pl.col(name) for name in ("rho", "beta", "path", "relative", "phi", "sd"))
    inside = (phi > -1) & (phi < 0)
    half_life = pl.when(inside).then((-math.log(2) / phi.log1p()).clip(1, windows.half_life_max))
    frame = (
        pl.DataFrame({name: getattr(bars, name) for name in names})
        .lazy()
        .with_columns(a=pl.col("close_a").log(), b=pl.col("close_b").log(), number=pl.int_range(pl.len()).cast(float))
        .with_columns(
            return_a=a.diff(),
            return_b=b.diff(),
            slope=_cov(b, a, windows.beta) / b.rolling_var(windows.beta),
            atr_a=_wilder(_true_range("a"), windows.atr) / pl.col("close_a"),
            atr_b=_wilder(_true_range("b"), windows.atr) / pl.col("close_b"),
        )
        .with_columns(
            beta=pl.col("slope").shift(1),
            alpha=(a.rolling_mean(windows.beta) - pl.col("slope") * b.rolling_mean(windows.beta)).shift(1),
            relative=pl.col("atr_a") / pl.col("atr_b"),
            rho=pl.rolling_corr(pl.col("return_a"), pl.col("return_b"), window_size=windows.rho),
        )
        .with_columns(
            spread=a - beta * b - pl.col("alpha"),
            path=((pl.col("return_a") - beta * pl.col("return_b")) / (1 + beta.abs())).cum_sum(),
            ratio=relative / relative.rolling_median(windows.atr_ratio),
        )
        .with_columns(change=spread.diff(), before=spread.shift(1), sd=spread.rolling_std(windows.z))
        .with_columns(
            z=(spread - spread.rolling_mean(windows.z)) / sd,
            phi=_cov(before, change, windows.half_life) / before.rolling_var(windows.half_life),
            gain=_wilder(change.clip(lower_bound=0), windows.rsi),
            loss=_wilder((-change).clip(lower_bound=0), windows.rsi),
        )
        .with_columns(dz=z.diff())
        .select(
            "beta",
            "spread",
            "z",
            "dz",
            "atr_a",
            "atr_b",
            z_ema=_ema(z, windows.z_ema),
            speed=_ema(pl.col("dz"), windows.speed).abs(),
            atr_ratio=pl.max_horizontal(pl.col("ratio"), 1 / pl.col("ratio")),
            atr_spread=_wilder(change.abs(), windows.atr) / sd,
            half_life=pl.when(phi.is_not_null()).then(half_life.otherwise(windows.half_life_max)),
            rho_rolling=rho,
            rho_var=rho.rolling_var(windows.rho_var),
            beta_stability=beta.rolling_std(windows.beta_stability)
            / beta.rolling_mean(windows.beta_stability).abs().clip(lower_bound=windows.beta_mean_floor),
            ema_gap_spread=(_ema(spread, windows.ema_fast) - _ema(spread, windows.ema_slow)) / sd,
            slope_spread=_cov(spread, pl.col("number"), windows.slope) * 12 / (windows.slope + 1) / sd,
            rsi_spread=100 * pl.col("gain") / (pl.col("gain") + pl.col("loss")),
            dd_recent=pl.max_horizontal(
                path.rolling_max(windows.dd_recent) - path, path - path.rolling_min(windows.dd_recent)
            ),
            filled_share=pl.col("filled").cast(float).rolling_sum(windows.quality) / (2 * windows.quality),
            spike_share=pl.col("spike").cast(float).rolling_sum(windows.quality) / (2 * windows.quality),
        )
        .collect()
    )
    return {name: frame[name].cast(pl.Float64).to_numpy() for name in frame.columns}


def _cov(x: pl.Expr, y: pl.Expr, window: int) -> pl.Expr:
    return pl.rolling_cov(x, y, window_size=window)


def _true_range(leg: str) -> pl.Expr:
    before = pl.col(f"close_{leg}").shift(1)
    return pl.max_horizontal(pl.col(f"high_{leg}"), before) - pl.min_horizontal(pl.col(f"low_{leg}"), before)


def _ema(column: pl.Expr, period: int) -> pl.Expr:
    return column.ewm_mean(alpha=2 / (period + 1), adjust=False, min_samples=period)


def _wilder(column: pl.Expr, period: int) -> pl.Expr:
    return column.ewm_mean(alpha=1 / period, adjust=False, min_samples=period)
