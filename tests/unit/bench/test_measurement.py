"""Works are timed in turn, and medians of rounds are what is reported."""

import json
from functools import partial

import pytest

from bench.measurement import Work, as_json, compare, side_by_side, table


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    """One slow round slows both sides: the quotient of the medians would be 3, of the best 4."""
    found = compare("a", "s", [1.0, 10.0, 2.0], {"peer": [4.0, 50.0, 6.0]})
    assert (found.value.median, found.value.lowest, found.value.highest) == (2.0, 1.0, 10.0)
    assert found.against["peer"].numbers == (4.0, 5.0, 3.0)
    assert found.against["peer"].median == 4.0


def test_a_peer_of_other_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare("a", "s", [1.0, 2.0], {"peer": [4.0]})


def test_works_take_turns_after_one_untimed_run_of_each() -> None:
    seen: list[str] = []
    works = {name: Work(partial(seen.append, name)) for name in ("x", "y")}
    found = side_by_side("ours", "ms", Work(partial(seen.append, "ours")), works, rounds=3, scale=1e3)
    assert seen == ["ours", "x", "y"] * 4
    assert [len(each.numbers) for each in (found.value, *found.against.values())] == [3, 3, 3]


def test_a_run_of_many_units_is_reported_by_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 6.0, 10.0, 14.0))
    monkeypatch.setattr("time.process_time", lambda: next(clock))
    ours, peer = Work(lambda: None, 3), Work(lambda: None, 1 / 30)
    found = side_by_side("a", "ms", ours, {"peer": peer}, rounds=1, scale=1e3)
    assert found.value.median == pytest.approx(2_000.0)
    assert found.against["peer"].median == pytest.approx(4.0 * 30 / 2.0)


def test_the_json_has_medians_and_the_table_their_spread() -> None:
    timed = compare("timed", "ms", [0.1, 0.1234, 0.2], {"peer": [12.0, 12.34, 30.0]})
    held = compare("held", "MB", [1234.5], {})
    assert json.loads(json.dumps(as_json([timed, held]))) == {
        "timed": {"value": 0.123, "unit": "ms", "against": {"peer": 120.0}},
        "held": {"value": 1234.5, "unit": "MB", "against": {}},
    }
    _, first, second = (line.split() for line in table([timed, held]))
    assert first == ["timed", "0.123", "ms", "0.100-0.200", "3", "peer", "×120", "(100-150)"]
    assert second == ["held", "1,234", "MB", "1"]
