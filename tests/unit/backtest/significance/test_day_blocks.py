from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backtest.significance.day_blocks import resample_days


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 5))
def test_blocks_are_runs_of_consecutive_days(n_days: int, block_days: int, seed: int) -> None:
    block = min(n_days, block_days)
    days = resample_days(n_days, block_days, 7, seed)
    assert days.shape == (7, n_days // block * block)
    assert ((days >= 0) & (days < n_days)).all()
    runs = days.reshape(7, -1, block)
    assert (np.diff(runs, axis=2) % n_days == (1 if n_days > 1 else 0)).all()


def test_every_day_is_drawn_as_often_and_a_seed_repeats() -> None:
    days = resample_days(10, 4, 20_000, 1)
    shares = np.bincount(days.ravel(), minlength=10) / days.size
    assert shares == pytest.approx(np.full(10, 0.1), abs=5e-3)
    assert np.array_equal(days, resample_days(10, 4, 20_000, 1))
    assert not np.array_equal(days, resample_days(10, 4, 20_000, 2))


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_nothing_to_draw_from_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        resample_days(*wrong, seed=1)
