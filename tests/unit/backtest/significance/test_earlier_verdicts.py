from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backtest.significance.earlier_verdicts import EarlierVerdict, overlapping


def verdict(start: int, end: int, name: str = "V") -> EarlierVerdict:
    return EarlierVerdict(name, start, end, 1.0)


@pytest.mark.parametrize(
    ("start", "end", "counts"), [(0, 100, False), (0, 101, True), (150, 160, True), (199, 300, True), (200, 300, False)]
)
def test_a_verdict_counts_when_it_has_seen_a_bar_of_the_window(start: int, end: int, counts: bool) -> None:
    assert bool(overlapping([verdict(start, end)], 100, 200)) is counts


def test_they_come_in_order_of_version() -> None:
    found = overlapping([verdict(100, 200, "B"), verdict(100, 200, "A")], 100, 200)
    assert [each.model_version for each in found] == ["A", "B"]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9))), st.integers(0, 20), st.integers(1, 9))
def test_it_is_the_intersection_of_bars(spans: list[tuple[int, int]], start: int, length: int) -> None:
    verdicts = [verdict(first, first + width, str(i)) for i, (first, width) in enumerate(spans)]
    bars = set(range(start, start + length))
    expected = [each for each in verdicts if bars & set(range(each.start, each.end))]
    assert set(overlapping(verdicts, start, start + length)) == set(expected)
