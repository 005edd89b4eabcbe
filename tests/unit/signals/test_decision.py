import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.core_policy import Decision
from core.signals.decision import passes

DECISION = Decision(z_stop=4.0, loss_limit=0.03)


@pytest.mark.parametrize(
    ("return_prob", "risk_score", "z", "taken"),
    [
        (0.71, 0.29, 2.5, True),
        (0.70, 0.29, 2.5, False),  # θ1 itself is not enough
        (0.71, 0.30, 2.5, False),  # θ2 itself is too risky
        (0.71, 0.29, -3.99, True),
        (0.71, 0.29, 4.0, False),  # no entry at the stop
        (0.71, 0.29, -4.0, False),
        (math.nan, 0.29, 2.5, False),
        (0.71, math.nan, 2.5, False),
        (0.71, 0.29, math.nan, False),
    ],
)
def test_limits_are_strict_and_nan_is_refused(return_prob: float, risk_score: float, z: float, taken: bool) -> None:
    assert bool(passes(return_prob, risk_score, 0.70, 0.30, z, DECISION)) is taken


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-6, 6)), max_size=30),
    st.floats(0.6, 0.85),
    st.floats(0.2, 0.45),
    st.floats(0, 0.1),
)
def test_stricter_thresholds_take_a_subset(
    rows: list[tuple[float, float, float]], theta1: float, theta2: float, step: float
) -> None:
    p, r, z = (np.array([row[i] for row in rows]) for i in range(3))
    loose = passes(p, r, theta1, theta2, z, DECISION)
    strict = passes(p, r, theta1 + step, theta2 - step, z, DECISION)
    assert not np.any(strict & ~loose)
    assert loose.shape == p.shape
