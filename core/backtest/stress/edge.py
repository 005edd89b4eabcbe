"""How much of a trouble it takes until nothing is left of the edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EdgeLimit:
    """`dies`: the Sharpe ratio reaches 0 at `multiple`; `survives`: it stays above 0 up to `multiple`, the last one
    looked at; `no_edge`: it is not above 0 without any stress, `multiple` is the neutral one."""

    outcome: Literal["dies", "survives", "no_edge"]
    multiple: float


def edge_limit(sharpe_at: Callable[[float], float], neutral: float, *, largest: float, precision: float) -> EdgeLimit:
    """Look for the multiple at which the Sharpe ratio reaches 0.

    Doubles the multiple from 1 (2 when 1 is neutral) until the Sharpe ratio is 0 or below, then halves the bracket: of
    several crossings the one in the first such bracket is found.

    Args:
        sharpe_at: Sharpe ratio under a multiple.
        neutral: the multiple without stress.
        largest: looked at last.
        precision: width of the last bracket as a share of the multiple (of 1 below 1); its upper end is the answer.
    """
    if sharpe_at(neutral) <= 0.0:
        return EdgeLimit("no_edge", neutral)
    alive, tried = neutral, neutral + 1.0
    while True:
        tried = min(tried, largest)
        if sharpe_at(tried) <= 0.0:
            break
        if tried >= largest:
            return EdgeLimit("survives", largest)
        alive, tried = tried, 2.0 * tried
    dead = tried
    while dead - alive > precision * max(1.0, dead):
        middle = 0.5 * (alive + dead)
        alive, dead = (alive, middle) if sharpe_at(middle) <= 0.0 else (middle, dead)
    return EdgeLimit("dies", dead)
