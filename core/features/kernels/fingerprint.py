"""One number for all the code a compiled function is made of.

Numba's cache on disk looks at the file a function stands in, not at the files of what it calls. A function whose cache
key holds this number is compiled anew when any of them changes.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def fingerprint(function: Any) -> int:
    """63 bits of SHA-256 over the bytecode and constants of a compiled function and all it calls."""
    parts: dict[str, str] = {}
    _collect(function, parts)
    digest = hashlib.sha256(repr(sorted(parts.items())).encode())
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def _collect(function: Any, parts: dict[str, str]) -> None:
    python = function.py_func
    name = f"{python.__module__}.{python.__qualname__}"
    if name in parts:
        return
    code = python.__code__
    used = {key: python.__globals__[key] for key in code.co_names if key in python.__globals__}
    values = {key: value for key, value in used.items() if isinstance(value, int | float | np.generic)}
    parts[name] = repr((code.co_code, code.co_consts, code.co_names, code.co_varnames, sorted(values.items())))
    for value in used.values():
        if hasattr(value, "py_func"):
            _collect(value, parts)
