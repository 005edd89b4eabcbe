from __future__ import annotations

from dataclasses import fields

import numpy as np
import pyarrow as pa
import pytest

from core.backtest.candidates import Candidates, pool_candidates
from core.backtest.candidates_table import from_table, to_table
from core.errors import InputError
from tests.unit.backtest.market import marks_of, pair_market, starts_of


def test_candidates_survive_the_table() -> None:
    markets = [pair_market([2.5] + [1.5] * 60, pair_id="A-B"), pair_market([2.5, 1.0, 0.3, 0.2], pair_id="C-D")]
    candidates, marks = pool_candidates([starts_of(market) for market in markets]), marks_of(markets[0])
    again, grid = from_table(to_table(candidates, marks), "test")
    assert again.pairs == ("A-B", "C-D")
    assert np.array_equal(grid.ts, marks.ts)
    assert np.array_equal(grid.weekday, marks.weekday)
    for field in fields(Candidates):
        if field.name != "pairs":
            before, after = getattr(candidates, field.name), getattr(again, field.name)
            assert before.dtype == after.dtype, field.name
            assert np.array_equal(before, after), field.name


def test_another_table_is_an_input_error() -> None:
    with pytest.raises(InputError, match="BACKTEST_INPUT_CANDIDATES"):
        from_table(pa.table({"a": [1]}), "test")
    market = pair_market([2.5, 1.0, 0.3, 0.2])
    cut = to_table(starts_of(market), marks_of(market)).drop_columns(["move_a"])
    with pytest.raises(InputError, match="move_a"):
        from_table(cut, "test")
