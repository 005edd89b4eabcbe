"""Bringing memory near before it is worked on.

A step reads and writes thirty columns a few hundred bars at a time, too few in a row for a processor to see what comes
next. What is asked for a step ahead arrives while the step before it computes.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from core.features.kernels.compiled import compiled
from core.market.pairs import Floats

LINE: Final = 8
"""Numbers that come at once."""


@compiled
def ask_for(xs: Floats) -> None:
    """Have an array near soon; it is neither read nor changed."""
    for i in range(0, xs.shape[0], LINE):
        _ask(xs.ctypes.data + 8 * i)


@intrinsic
def _ask(typing: Any, address: types.Integer) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        pointer = ir.PointerType(ir.IntType(8))
        number = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        )
        builder.call(function, [builder.inttoptr(arguments[0], pointer), number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(address), generate
