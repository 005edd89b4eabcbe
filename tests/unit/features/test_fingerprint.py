"""The number that keeps stale machine code out."""

from __future__ import annotations

import types
from typing import Any

from core.features.kernels.fingerprint import fingerprint
from core.features.step import step

CALLEE = "@compiled\ndef inner(x):\n    return x * {factor} + LIMIT\n"
CALLER = "@compiled\ndef outer(x):\n    return inner(x)\n"


def compiled_from(factor: float, limit: float) -> Any:
    """`outer`, which calls `inner`, as numba shows them: an object with the Python function in `py_func`."""
    room: dict[str, Any] = {
        "compiled": lambda function: types.SimpleNamespace(py_func=function),
        "LIMIT": limit,
        "__name__": "room",
    }
    exec(CALLEE.format(factor=factor) + CALLER, room)  # noqa: S102 - two versions of one source
    return room["outer"]


def test_it_changes_with_the_code_and_the_constants_of_what_is_called() -> None:
    numbers = {fingerprint(compiled_from(2.0, 1.0)) for _ in range(3)}
    assert len(numbers) == 1
    assert len({*numbers, fingerprint(compiled_from(3.0, 1.0)), fingerprint(compiled_from(2.0, 4.0))}) == 3


def test_it_fits_the_state() -> None:
    assert 0 < fingerprint(step) < 2**63
