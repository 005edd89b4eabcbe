"""How large a position and its legs are (SPEC S8, BT-2, SRV-2)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from core.config.core_policy import PositionScale
from core.errors import InputError

_STEP_TOLERANCE = 1e-9
"""Float dust, in steps, that still counts as a whole step: 0.3 lots of 0.1 are three steps."""


def position_scale(excursion: ArrayLike, policy: PositionScale) -> NDArray[np.float64]:
    """risk_budget / predicted adverse excursion, clipped to [minimum, maximum] (SPEC S8).

    Args:
        excursion: AI3's predicted adverse excursion in share of gross; scalar or any shape. A prediction at or below
            zero says that no excursion is expected and gets the maximum.
        policy: budget and bounds.

    Returns:
        float64 of the input's shape, within the bounds.

    Raises:
        InputError: SIGNAL_INPUT_EXCURSION when a prediction is not finite.
    """
    predicted = np.asarray(excursion, dtype=np.float64)
    if not np.all(np.isfinite(predicted)):
        raise InputError(
            "SIGNAL_INPUT_EXCURSION",
            "a predicted excursion is not finite",
            where="core.signals.sizing.position_scale",
            remedy="check the features given to AI3; a row with a NaN is never predicted",
        )
    scale = np.full(predicted.shape, policy.maximum)
    np.divide(policy.risk_budget, predicted, out=scale, where=predicted > 0.0)
    return np.asarray(np.clip(scale, policy.minimum, policy.maximum))


@njit(cache=True, error_model="numpy")
def round_lots(
    target_usd: float, usd_per_lot: float, lot_step: float, min_lot: float, min_notional_usd: float
) -> float:
    """Lots of one leg: the target rounded down to whole lot steps, 0.0 when below the least lot or notional.

    Args:
        target_usd: wanted notional of the leg, ≥ 0.
        usd_per_lot: notional of one lot at the decision bar's close, > 0.
        lot_step: smallest change of the quantity, lots.
        min_lot: least quantity, lots.
        min_notional_usd: least notional, USD.
    """
    steps = math.floor(target_usd / usd_per_lot / lot_step + _STEP_TOLERANCE)
    lots = steps * lot_step
    if steps < 1 or lots < min_lot - _STEP_TOLERANCE * lot_step or lots * usd_per_lot < min_notional_usd:
        return 0.0
    return lots


@njit(cache=True, error_model="numpy")
def round_price(price: float, tick_size: float, buys: bool) -> float:
    """A fill price on the tick grid, rounded against the trader: up for a buy, down for a sell."""
    ticks = price / tick_size
    if buys:
        return math.ceil(ticks - 1e-6) * tick_size
    return math.floor(ticks + 1e-6) * tick_size
