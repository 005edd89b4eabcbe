"""A kernel's state as bytes, to go on from in another process."""

from __future__ import annotations

import io
from dataclasses import fields

import numpy as np

from core.features.kernels.state import KernelState


def state_to_bytes(state: KernelState) -> bytes:
    """The state's arrays, one after another in NumPy's own format; the same state gives the same bytes."""
    sink = io.BytesIO()
    for field in fields(KernelState):
        np.save(sink, getattr(state, field.name), allow_pickle=False)
    return sink.getvalue()


def state_from_bytes(content: bytes) -> KernelState:
    """What `state_to_bytes` gave. Raises ValueError where the bytes are no state."""
    source = io.BytesIO(content)
    try:
        arrays = {field.name: np.load(source, allow_pickle=False) for field in fields(KernelState)}
    except (EOFError, OSError) as error:
        raise ValueError(f"not a kernel state: {error}") from error
    return KernelState(**arrays)
