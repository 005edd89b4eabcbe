"""Natural logarithms of many numbers at a time, the same bits on every machine.

A system's own logarithm takes one number a call, and its last bit depends on the processor. Here x = 2^k·(1 + f) with
1 + f in [√½, √2), so log x = k·log 2 + log(1 + f). With s = f/(2 + f), log(1 + f) = 2·artanh(s) = f − s·(f − r), where
r = 2·(s²/3 + s⁴/5 + …) is summed until a further term could not change a digit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.features.kernels.compiled import compiled
from core.market.pairs import Floats

_ROOT_HALF: Final = np.uint64(0x3FE6A09E667F3BCD)
"""Bits of √½: subtracted from x's, they leave k in the exponent's place."""
_EXPONENT: Final = np.uint64(52)
_LN2_HIGH: Final = float.fromhex("0x1.62e42fefa38p-1")
"""log 2 in so few bits that k times it is exact; `_LN2_LOW` is the rest."""
_LN2_LOW: Final = float.fromhex("0x1.ef35793c7673p-45")


@compiled
def logarithms(xs: Floats, out: Floats) -> None:
    """Write log x within 1 unit in the last place; NaN unless x is a positive number in full precision, and finite."""
    for i in range(xs.shape[0]):
        x = xs[i]
        bits = np.float64(x).view(np.uint64)
        k = np.int64(bits - _ROOT_HALF) >> np.int64(52)
        f = np.uint64(bits - (np.uint64(k) << _EXPONENT)).view(np.float64) - 1.0
        s = f / (2.0 + f)
        w = s * s
        r = w * (2 / 17 + w * (2 / 19 + w * (2 / 21)))
        r = w * (2 / 9 + w * (2 / 11 + w * (2 / 13 + w * (2 / 15 + r))))
        r = w * (2 / 3 + w * (2 / 5 + w * (2 / 7 + r)))
        value = k * _LN2_HIGH + (f - (s * (f - r) - k * _LN2_LOW))
        out[i] = value if np.finfo(np.float64).tiny <= x < np.inf else np.nan
