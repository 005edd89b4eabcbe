"""Candidates as an Arrow table, so that a search can read what a replay has worked out."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from core.backtest.candidates import Candidates
from core.backtest.daily_marks import DailyMarks
from core.errors import InputError

_FLAT = ("mark_a", "mark_b")
_APART = {"pairs", "pair", "mark_start", *_FLAT}
_KEY = b"candidates"


def to_table(candidates: Candidates, marks: DailyMarks) -> pa.Table:
    """One row a candidate: `pair_id`, its arrays, and `mark_a`, `mark_b` as lists; grid and pairs in the metadata."""
    columns: dict[str, Any] = {
        "pair_id": pa.DictionaryArray.from_arrays(
            pa.array(candidates.pair.astype(np.int32)), pa.array(candidates.pairs, pa.string())
        ).cast(pa.string())
    }
    for field in fields(Candidates):
        if field.name not in _APART:
            columns[field.name] = pa.array(getattr(candidates, field.name))
    offsets = pa.array(candidates.mark_start.astype(np.int32))
    for name in _FLAT:
        columns[name] = pa.ListArray.from_arrays(offsets, pa.array(getattr(candidates, name)))
    grid = {"pairs": candidates.pairs, "marks": marks.ts.tolist(), "weekdays": marks.weekday.tolist()}
    return pa.table(columns).replace_schema_metadata({_KEY: orjson.dumps(grid)})


def from_table(table: pa.Table, where: str) -> tuple[Candidates, DailyMarks]:
    """Read what `to_table` made; `where` names the file for the error.

    Raises:
        InputError: BACKTEST_INPUT_CANDIDATES when the table is not of this form.
    """
    try:
        grid = orjson.loads(table.schema.metadata[_KEY])
        pairs = tuple(grid["pairs"])
        number = {pair_id: index for index, pair_id in enumerate(pairs)}
        arrays = {
            field.name: table.column(field.name).combine_chunks().to_numpy(zero_copy_only=False)
            for field in fields(Candidates)
            if field.name not in _APART
        }
        lists = [table.column(name).combine_chunks() for name in _FLAT]
        counts = lists[0].value_lengths().to_numpy(zero_copy_only=False)
        flat = {name: column.flatten().to_numpy() for name, column in zip(_FLAT, lists, strict=True)}
        pair = np.array([number[pair_id] for pair_id in table.column("pair_id").to_pylist()], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "BACKTEST_INPUT_CANDIDATES",
            f"the table of candidates is not of the expected form: {error!r}",
            where=where,
            remedy="run the backtest task of this run again",
        ) from error
    marks = DailyMarks(np.array(grid["marks"], dtype=np.int64), np.array(grid["weekdays"], dtype=np.int8))
    mark_start = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Candidates(pairs=pairs, pair=pair, mark_start=mark_start, **flat, **arrays), marks
