"""Pairs worth trying, by how alike their legs move."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

_COMMON_BARS_MIN: Final = 500
_SAME_INSTRUMENT: Final = 0.995


@dataclass(frozen=True)
class Proposal:
    """Two symbols, the correlation of their log returns and the bars they share."""

    a: str
    b: str
    correlation: float
    common_bars: int


def propose_pairs(closes: Mapping[str, pd.Series]) -> list[Proposal]:
    """All combinations of symbols, the most correlated (either sign) first.

    `closes` holds each symbol's closes indexed by bar open. Left out: fewer than 500 common bars, and two names of
    what looks like one instrument (correlation beyond ±0.995).
    """
    log_closes = {symbol: np.log(series) for symbol, series in closes.items()}
    proposals = []
    for a, b in itertools.combinations(sorted(log_closes), 2):
        joined = pd.concat((log_closes[a], log_closes[b]), axis=1, join="inner")
        if len(joined) <= _COMMON_BARS_MIN:
            continue
        returns = np.diff(joined.to_numpy(np.float64), axis=0)
        if np.any(returns.std(axis=0) == 0.0):
            continue
        correlation = float(np.corrcoef(returns[:, 0], returns[:, 1])[0, 1])
        if abs(correlation) < _SAME_INSTRUMENT:
            proposals.append(Proposal(a, b, correlation, len(joined)))
    return sorted(proposals, key=lambda proposal: (-abs(proposal.correlation), proposal.a, proposal.b))


def enough_pairs(symbols: int) -> int:
    """How many pairs a universe of that many symbols should have: at least 12 where they can be formed."""
    return min(symbols * (symbols - 1) // 2, max(12, symbols + symbols // 3))
