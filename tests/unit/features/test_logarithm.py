"""The features' own logarithm against one of forty digits."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.features.kernels.logarithm import logarithms

SMALLEST, LARGEST = np.finfo(np.float64).tiny, np.finfo(np.float64).max


def logarithm(x: float) -> float:
    out = np.empty(1)
    logarithms(np.array([x]), out)
    return float(out[0])


@given(st.floats(SMALLEST, LARGEST) | st.floats(0.5, 2.0) | st.floats(-1e-6, 1e-6).map(lambda near: 1.0 + near))
def test_it_is_within_one_unit_in_the_last_place(x: float) -> None:
    with localcontext() as context:
        context.prec = 40
        exact = Decimal(x).ln()
        assert abs(Decimal(logarithm(x)) - exact) <= Decimal(math.ulp(float(exact)))


def test_it_is_exactly_zero_at_one() -> None:
    assert logarithm(1.0) == 0.0


@pytest.mark.parametrize("x", [0.0, -1.0, math.nan, math.inf, -math.inf, SMALLEST / 2])
def test_what_has_no_logarithm_has_none(x: float) -> None:
    assert math.isnan(logarithm(x))


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=70))
def test_many_at_a_time_are_each_as_alone(xs: list[float]) -> None:
    out = np.empty(len(xs))
    logarithms(np.array(xs), out)
    assert out.tolist() == [logarithm(x) for x in xs]
