"""Bars after a moment, replaced by noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.features.live import cut_bars
from core.market.pairs import PairBars

_LEAST_SD: Final = 1e-6


def noise_after(
    bars: PairBars, cut: int, end: int, *, scale: float, window: int, random: np.random.Generator
) -> PairBars:
    """Bars 0 … end − 1 with every price and flag after bar `cut` drawn anew.

    The closes' logarithms are independent normals about the mean of the last `window` known ones, with `scale` times
    their standard deviation: below one z comes back at once, far above one it runs away and every risk limit breaks.

    Args:
        bars: one pair.
        cut: last bar that stays, -1 when none does.
        end: number of bars wanted.
        scale: spread of the noise.
        window: bars its level and spread are taken from.
        random: where it comes from.
    """
    noisy = end - 1 - cut
    known = cut_bars(bars, max(0, cut + 1 - window), cut + 1)
    changed: dict[str, Any] = {}
    for leg in "ab":
        logs = np.log(getattr(known, f"close_{leg}")) if len(known) else np.zeros(1)
        spread = scale * max(float(logs.std()), _LEAST_SD)
        opened, closed = np.exp(random.normal(float(logs.mean()), spread, (2, noisy)))
        above, below = np.exp(np.abs(random.normal(0.0, spread, (2, noisy))))
        drawn = {
            "open": opened,
            "high": np.maximum(opened, closed) * above,
            "low": np.minimum(opened, closed) / below,
            "close": closed,
        }
        for name, values in drawn.items():
            changed[f"{name}_{leg}"] = _continue(getattr(bars, f"{name}_{leg}"), cut, values)
    for name in ("filled", "spike"):
        flags = random.choice(np.array([0, 1, 2], dtype=np.uint8), noisy, p=[0.9, 0.08, 0.02])
        changed[name] = _continue(getattr(bars, name), cut, flags)
    return replace(cut_bars(bars, 0, end), **changed)


def _continue(known: NDArray[np.generic], cut: int, drawn: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.concatenate((known[: cut + 1], drawn))
