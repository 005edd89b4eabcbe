"""Every feature written straight from docs/formulas.md with pandas and NumPy: slow, two passes a window, no state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from core.config.core_policy import FeatureWindows
from core.features.table import FEATURE_COLUMNS
from core.market.pairs import PairBars

Floats = NDArray[np.float64]
Series: TypeAlias = "pd.Series[float]"
Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True)
class PlainFeatures:
    """Columns of one segment: FEATURE_COLUMNS in `values`, and what a position holds."""

    values: pd.DataFrame
    alpha: Floats
    spread_mean: Floats
    spread_sd: Floats


def plain_features(bars: PairBars, windows: FeatureWindows) -> PlainFeatures:
    """Features of bars that are one segment."""
    frame = pd.DataFrame({name: getattr(bars, name) for name in _PRICES})
    a, b = np.log(frame["close_a"]), np.log(frame["close_b"])
    return_a, return_b = a.diff(), b.diff()

    beta_values, alpha_values = _line(b.to_numpy(), a.to_numpy(), windows.beta)
    beta = pd.Series(beta_values).shift(1)
    alpha = pd.Series(alpha_values).shift(1)
    spread = a - beta * b - alpha
    change = spread.diff()
    mean = _rolling(spread, windows.z, lambda rows: rows.mean(axis=1))
    sd = _rolling(spread, windows.z, _sd)
    z = (spread - mean) / sd

    atr = {leg: _wilder(_true_range(frame, leg), windows.atr) / frame[f"close_{leg}"] for leg in ("a", "b")}
    relative = atr["a"] / atr["b"]
    ratio = relative / _rolling(relative, windows.atr_ratio, lambda rows: np.median(rows, axis=1))
    phi = pd.Series(_line(spread.shift(1).to_numpy(), change.to_numpy(), windows.half_life)[0])
    rho = _rolling_pair(return_a, return_b, windows.rho, _correlation)
    beta_sd = _rolling(beta, windows.beta_stability, _sd, zero_is_nan=False)
    beta_mean = _rolling(beta, windows.beta_stability, lambda rows: rows.mean(axis=1))
    bars_of_slope = np.arange(windows.slope) - (windows.slope - 1) / 2
    slope = _rolling(spread, windows.slope, lambda rows: rows @ bars_of_slope / (bars_of_slope**2).sum())
    gain, loss = _wilder(change.clip(lower=0), windows.rsi), _wilder((-change).clip(lower=0), windows.rsi)
    path = ((return_a - beta * return_b) / (1 + beta.abs())).cumsum()
    highest = _rolling(path, windows.dd_recent, lambda rows: rows.max(axis=1))
    lowest = _rolling(path, windows.dd_recent, lambda rows: rows.min(axis=1))

    columns = {
        "beta": beta,
        "spread": spread,
        "z": z,
        "dz": z.diff(),
        "z_ema": _ema(z, windows.z_ema),
        "speed": _ema(z.diff(), windows.speed).abs(),
        "atr_a": atr["a"],
        "atr_b": atr["b"],
        "atr_ratio": np.maximum(ratio, 1 / ratio),
        "atr_spread": _wilder(change.abs(), windows.atr) / sd,
        "half_life": _half_life(phi, windows.half_life_max),
        "rho_rolling": rho,
        "rho_var": _rolling(rho, windows.rho_var, _sd, zero_is_nan=False) ** 2,
        "beta_stability": beta_sd / beta_mean.abs().clip(lower=windows.beta_mean_floor),
        "ema_gap_spread": (_ema(spread, windows.ema_fast) - _ema(spread, windows.ema_slow)) / sd,
        "slope_spread": slope * windows.slope / sd,
        "rsi_spread": 100 - 100 / (1 + gain / loss),
        "dd_recent": np.maximum(highest - path, path - lowest),
        "filled_share": pd.Series(bars.filled.astype(float)).rolling(windows.quality).sum() / (2 * windows.quality),
        "spike_share": pd.Series(bars.spike.astype(float)).rolling(windows.quality).sum() / (2 * windows.quality),
    }
    values = pd.DataFrame(columns)[list(FEATURE_COLUMNS)]
    return PlainFeatures(values, _floats(alpha), _floats(mean), _floats(sd))


_PRICES = ("high_a", "low_a", "close_a", "high_b", "low_b", "close_b")


def _rolling(series: Series, window: int, statistic: Statistic, zero_is_nan: bool = True) -> Series:
    """A statistic of each full window without NaN; an sd of 0 (exactly constant values) has no quotient: NaN."""
    values = _floats(series)
    out = np.full(len(values), np.nan)
    if len(values) >= window:
        rows = sliding_window_view(values, window)
        out[window - 1 :] = statistic(rows)
        if statistic is _sd and zero_is_nan:
            out[window - 1 :][np.ptp(rows, axis=1) == 0.0] = np.nan
    return pd.Series(out)


def _rolling_pair(x: Series, y: Series, window: int, statistic: Callable[[Floats, Floats], Floats]) -> Series:
    out = np.full(len(x), np.nan)
    if len(x) >= window:
        out[window - 1 :] = statistic(sliding_window_view(_floats(x), window), sliding_window_view(_floats(y), window))
    return pd.Series(out)


def _floats(series: Series) -> Floats:
    return np.asarray(series, dtype=np.float64)


def _sd(rows: Floats) -> Floats:
    return np.asarray(rows.std(axis=1, ddof=1))


def _correlation(x: Floats, y: Floats) -> Floats:
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    return np.asarray((dx * dy).sum(axis=1) / np.sqrt((dx**2).sum(axis=1) * (dy**2).sum(axis=1)))


def _line(x: Floats, y: Floats, window: int) -> tuple[Floats, Floats]:
    """Slope and intercept of y on x over the window that ends at each bar."""
    slope, intercept = np.full(len(x), np.nan), np.full(len(x), np.nan)
    if len(x) >= window:
        xs, ys = sliding_window_view(x, window), sliding_window_view(y, window)
        mean_x, mean_y = xs.mean(axis=1, keepdims=True), ys.mean(axis=1, keepdims=True)
        found = ((xs - mean_x) * (ys - mean_y)).sum(axis=1) / ((xs - mean_x) ** 2).sum(axis=1)
        slope[window - 1 :] = found
        intercept[window - 1 :] = mean_y[:, 0] - found * mean_x[:, 0]
    return slope, intercept


def _ema(series: Series, period: int) -> Series:
    return series.ewm(alpha=2 / (period + 1), adjust=False, ignore_na=True, min_periods=period).mean()


def _wilder(series: Series, period: int) -> Series:
    return series.ewm(alpha=1 / period, adjust=False, ignore_na=True, min_periods=period).mean()


def _true_range(frame: pd.DataFrame, leg: str) -> Series:
    high, low, before = frame[f"high_{leg}"], frame[f"low_{leg}"], frame[f"close_{leg}"].shift(1)
    return pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(axis=1)


def _half_life(phi: Series, longest: float) -> Series:
    inside = (phi > -1) & (phi < 0)
    bars = -np.log(2) / np.log1p(phi.where(inside))
    found: Series = bars.clip(1, longest).where(inside, longest).where(phi.notna())
    return found
