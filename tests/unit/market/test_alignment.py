"""A pair has the bars both legs have, and restarts where either does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.market.alignment import align_pair
from tests.unit.market.examples import HOUR, canonical

HOURS = st.sets(st.integers(0, 40), min_size=1).map(lambda hours: [HOUR * hour for hour in sorted(hours)])


def test_segments_restart_where_either_leg_does() -> None:
    ts = [HOUR * hour for hour in range(6)]
    a = canonical(ts, [0, 0, 1, 1, 1, 1])
    b = canonical(ts, [0, 0, 0, 0, 3, 3], price=50.0)
    b.loc[1, "filled"] = True
    a.loc[1, "filled"] = True
    a.loc[5, "spike_flag"] = True
    pair = align_pair("A-B", HOUR, a, b)
    assert pair.segment.tolist() == [0, 0, 1, 1, 2, 2]
    assert pair.filled.tolist() == [0, 2, 0, 0, 0, 0]
    assert pair.spike.tolist() == [0, 0, 0, 0, 0, 1]
    assert (pair.close_a[0], pair.close_b[0], pair.high_b[0], pair.low_b[0]) == (100.0, 50.0, 50.5, 49.5)


def test_a_restart_at_a_bar_the_other_leg_lacks_is_kept() -> None:
    a = canonical([0, HOUR, 2 * HOUR, 3 * HOUR], [0, 0, 1, 1])
    b = canonical([0, HOUR, 3 * HOUR], [0, 0, 0])
    assert align_pair("A-B", HOUR, a, b).segment.tolist() == [0, 0, 1]


def test_legs_that_never_overlap_are_an_error() -> None:
    with pytest.raises(InputError, match="DATA_PAIR_NO_OVERLAP") as caught:
        align_pair("A-B", HOUR, canonical([0, HOUR], [0, 0]), canonical([2 * HOUR], [0]))
    assert "A-B" in caught.value.where


@given(HOURS, HOURS)
def test_the_common_bars_and_only_those(hours_a: list[int], hours_b: list[int]) -> None:
    common = sorted(set(hours_a) & set(hours_b))
    a, b = canonical(hours_a, [0] * len(hours_a)), canonical(hours_b, [0] * len(hours_b))
    if not common:
        with pytest.raises(InputError):
            align_pair("A-B", HOUR, a, b)
        return
    pair = align_pair("A-B", HOUR, a, b)
    assert pair.ts.tolist() == common
    assert np.all(pair.segment == 0)
