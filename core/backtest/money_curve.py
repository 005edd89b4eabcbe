"""What each band of AI1's probability has earned: beside the calibration curve, the one that counts money."""

from __future__ import annotations

import numpy as np

from core.backtest.candidates import Candidates
from core.market.pairs import Floats

BANDS = 10
_BP = 1e4


def net_returns(candidates: Candidates) -> Floats:
    """Net result of each candidate as a share of its gross (m,): price moves less four fills and swap.

    Legs are taken at their exact weights, before any rounding to lots, and valued at the decision bar's close.
    """
    net = np.zeros(len(candidates))
    for leg in "ab":
        earned, paid, swap = (getattr(candidates, f"{name}_{leg}") for name in ("move", "cost", "swap"))
        weight, lot_usd = getattr(candidates, f"weight_{leg}"), getattr(candidates, f"lot_usd_{leg}")
        net += np.abs(weight) * (earned - paid - swap) / lot_usd
    return net


def money_curve(candidates: Candidates) -> list[dict[str, float]]:
    """Ten equal-mass bands of rising return_prob: their bounds, mean prediction, mean net result in bp of gross, size.

    Every candidate counts, whether a θ takes it or not. That z comes back is no profit by itself: its mean may have
    come to the price instead.
    """
    order = np.argsort(candidates.return_prob, kind="stable")
    net = net_returns(candidates)
    return [
        {
            "low": float(candidates.return_prob[band][0]),
            "high": float(candidates.return_prob[band][-1]),
            "predicted": float(candidates.return_prob[band].mean()),
            "net_bp": float(_BP * net[band].mean()),
            "count": int(band.size),
        }
        for band in np.array_split(order, BANDS)
        if band.size
    ]
