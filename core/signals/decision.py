"""The decision: which starts become positions (SPEC SRV-2, FORMULAS "Position at t")."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.config.core_policy import Decision


def passes(
    return_prob: ArrayLike,
    risk_score: ArrayLike,
    theta1: float,
    theta2: float,
    z: ArrayLike,
    decision: Decision,
) -> NDArray[np.bool_]:
    """Whether a start is taken: return_prob > θ1 and risk_score < θ2 and |z| < z_stop.

    Args:
        return_prob: AI1's probability of reversion, in [0, 1]; scalar or any shape.
        risk_score: AI2's risk, in [0, 1]; same shape.
        theta1: probability that must be exceeded.
        theta2: upper bound the risk must stay below.
        z: spread z-score at the decision bar; same shape.
        decision: policy; `z_stop` refuses an entry at or beyond the stop.

    Returns:
        Booleans of the inputs' shape (a 0-d array for scalars). A NaN anywhere is a refusal.
    """
    probability = np.asarray(return_prob, dtype=np.float64)
    risk = np.asarray(risk_score, dtype=np.float64)
    stretched = np.abs(np.asarray(z, dtype=np.float64))
    return np.asarray((probability > theta1) & (risk < theta2) & (stretched < decision.z_stop))
