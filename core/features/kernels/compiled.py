"""The one way a kernel is compiled."""

from __future__ import annotations

from typing import Final, get_type_hints

import numpy as np
from numba import njit

compiled: Final = njit(error_model="numpy", _nrt=False)
"""Plain float arithmetic (no fast-math) and division by zero as IEEE says.

Kernels allocate nothing, so memory management is left out: counting references on every call would cost ten times the
arithmetic.
"""

inlined: Final = njit(error_model="numpy", _nrt=False, forceinline=True)
"""The same for the small functions of a step, whose calls would cost more than they do."""

cached: Final = njit(cache=True, error_model="numpy", _nrt=False)
"""The same for a function Python calls: kept on disk with all it calls compiled in."""


@inlined
def place(index: int) -> int:
    """An index known not to be negative, so that no end-relative indexing is compiled in."""
    return np.uint64(index)  # type: ignore[return-value]


def record_type(fields: type) -> np.dtype[np.void]:
    """Record of a class's annotated fields in order: int is int64, float is float64, a class is a nested record."""
    kinds = {int: np.dtype(np.int64), float: np.dtype(np.float64)}
    named = [(name, kinds.get(kind) or record_type(kind)) for name, kind in get_type_hints(fields).items()]
    return np.dtype(named, align=True)
