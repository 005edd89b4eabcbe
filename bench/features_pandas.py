"""The features as one writes them in pandas: rolling and exponential windows, no Python loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.config.core_policy import FeatureWindows
from core.market.pairs import PairBars


def pandas_features(bars: PairBars, windows: FeatureWindows) -> dict[str, NDArray[np.float64]]:
    """FEATURE_COLUMNS of bars that are one segment."""
    a, b = pd.Series(np.log(bars.close_a)), pd.Series(np.log(bars.close_b))
    return_a, return_b = a.diff(), b.diff()
    over_b, over_a = b.rolling(windows.beta), a.rolling(windows.beta)
    slope = over_b.cov(a) / over_b.var()
    beta = slope.shift(1)
    spread = a - beta * b - (over_a.mean() - slope * over_b.mean()).shift(1)
    change, before = spread.diff(), spread.shift(1)
    window = spread.rolling(windows.z)
    sd = window.std()
    z = (spread - window.mean()) / sd
    dz = z.diff()
    atr_a = _wilder(_true_range(bars.high_a, bars.low_a, bars.close_a), windows.atr) / bars.close_a
    atr_b = _wilder(_true_range(bars.high_b, bars.low_b, bars.close_b), windows.atr) / bars.close_b
    relative = atr_a / atr_b
    ratio = relative / relative.rolling(windows.atr_ratio).median()
    phi = before.rolling(windows.half_life).cov(change) / before.rolling(windows.half_life).var()
    phi[change.rolling(windows.half_life).count() < windows.half_life] = np.nan
    inside = (phi > -1) & (phi < 0)
    half_life = (-np.log(2) / np.log1p(phi.where(inside))).clip(1, windows.half_life_max)
    rho = return_a.rolling(windows.rho).corr(return_b)
    betas = beta.rolling(windows.beta_stability)
    numbers = pd.Series(np.arange(len(a), dtype=np.float64))
    sloping = spread.rolling(windows.slope).cov(numbers) / ((windows.slope * (windows.slope + 1)) / 12)
    gain, loss = _wilder(change.clip(lower=0), windows.rsi), _wilder((-change).clip(lower=0), windows.rsi)
    path = ((return_a - beta * return_b) / (1 + beta.abs())).cumsum()
    recent = path.rolling(windows.dd_recent)
    columns = {
        "beta": beta,
        "spread": spread,
        "z": z,
        "dz": dz,
        "z_ema": _ema(z, windows.z_ema),
        "speed": _ema(dz, windows.speed).abs(),
        "atr_a": atr_a,
        "atr_b": atr_b,
        "atr_ratio": np.maximum(ratio, 1 / ratio),
        "atr_spread": _wilder(change.abs(), windows.atr) / sd,
        "half_life": half_life.where(inside, windows.half_life_max).where(phi.notna()),
        "rho_rolling": rho,
        "rho_var": rho.rolling(windows.rho_var).var(),
        "beta_stability": betas.std() / betas.mean().abs().clip(lower=windows.beta_mean_floor),
        "ema_gap_spread": (_ema(spread, windows.ema_fast) - _ema(spread, windows.ema_slow)) / sd,
        "slope_spread": sloping * windows.slope / sd,
        "rsi_spread": 100 * gain / (gain + loss),
        "dd_recent": np.maximum(recent.max() - path, path - recent.min()),
        "filled_share": pd.Series(bars.filled).rolling(windows.quality).sum() / (2 * windows.quality),
        "spike_share": pd.Series(bars.spike).rolling(windows.quality).sum() / (2 * windows.quality),
    }
    return {name: column.to_numpy(dtype=np.float64) for name, column in columns.items()}


def _true_range(high: NDArray[np.float64], low: NDArray[np.float64], close: NDArray[np.float64]) -> pd.Series[float]:
    before = np.concatenate(([np.nan], close[:-1]))
    return pd.Series(np.fmax(high, before) - np.fmin(low, before))


def _ema(series: pd.Series[float], period: int) -> pd.Series[float]:
    return series.ewm(alpha=2 / (period + 1), adjust=False, min_periods=period).mean()


def _wilder(series: pd.Series[float], period: int) -> pd.Series[float]:
    return series.ewm(alpha=1 / period, adjust=False, min_periods=period).mean()
