"""The rolling median beside NumPy's to 44 binary digits, with ties, jumps and interruptions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.features.kernels.median import median_run
from core.features.kernels.state import KernelState, new_state
from tests.unit.features.bars import short_windows

VALUES = st.lists(
    st.one_of(st.sampled_from([0.5, 1.0, 1.5, 2.0]), st.floats(1e-6, 1e6), st.sampled_from([np.nan, 0.0, -1.0])),
    max_size=60,
)


def state_of(window: int) -> KernelState:
    return new_state(short_windows().model_copy(update={"atr_ratio": window}))


def medians(state: KernelState, values: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.empty_like(values)
    median_run(state.record[0]["atr_ratio"], state.rings, values, out)
    return out


def plain(series: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The median of each full window of positive values, without the bits that number a window's places."""
    places = np.uint64(2 ** (window - 1).bit_length() - 1)
    values = (series.view(np.uint64) & ~places).view(np.float64)
    np.testing.assert_allclose(values, series, rtol=2.0**-44)
    found = np.full(len(values), np.nan)
    for i in range(window - 1, len(values)):
        last = values[i - window + 1 : i + 1]
        if (last > 0.0).all():
            found[i] = np.median(last)
    return found


@given(values=VALUES, window=st.integers(2, 9), data=st.data())
@settings(deadline=None)
def test_it_is_the_median_whatever_comes_in_whichever_pieces(
    values: list[float], window: int, data: st.DataObject
) -> None:
    series = np.array(values, dtype=np.float64)
    cut = data.draw(st.integers(0, len(values)))
    state = state_of(window)
    found = np.concatenate((medians(state, series[:cut]), medians(state, series[cut:])))
    np.testing.assert_array_equal(found, plain(series, window))


@pytest.mark.parametrize("window", [31, 32, 33, 180])
def test_windows_around_a_stretch_are_medians_too(window: int) -> None:
    series = np.random.default_rng(window).integers(1, 400, 2_000) / 100.0
    np.testing.assert_array_equal(medians(state_of(window), series), plain(series, window))
