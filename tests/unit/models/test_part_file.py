"""Parts of a walk-forward as files: the same bits back, and anything else refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models.part_file import dump_fit, dump_step, load_fit, load_step
from core.models.walk_forward import fit_all
from tests.unit.models.leakage.training import Trained, train


@cache
def trained() -> Trained:
    return train()


def assert_same(one: Any, other: Any) -> None:
    """Equal in every field, down to the type and the bits of arrays."""
    assert type(one) is type(other)
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    elif isinstance(one, Mapping):
        assert list(one) == list(other)
        assert_same(list(one.values()), list(other.values()))
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


def test_a_step_comes_back_to_the_last_bit() -> None:
    learned = trained().learned
    for step in learned.steps:
        assert_same(load_step(dump_step(step), step.step, learned.pool.columns), step)


def test_the_fit_on_all_data_comes_back_to_the_last_bit() -> None:
    learned = trained().learned
    fit = fit_all(learned.pool, learned.learning)
    assert_same(load_fit(dump_fit(fit), learned.pool.columns), fit)


@given(content=st.binary(max_size=200), cut=st.integers(0, 10_000))
def test_what_is_damaged_or_something_else_is_refused(content: bytes, cut: int) -> None:
    learned = trained().learned
    step = learned.steps[0]
    whole = dump_step(step)
    for damaged in (content, whole[: min(cut, len(whole) - 1)]):
        with pytest.raises(ValueError, match=r"."):
            load_step(damaged, step.step, learned.pool.columns)
    with pytest.raises(ValueError, match="trees/ai1"):
        load_fit(whole, learned.pool.columns)
