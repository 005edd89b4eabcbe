"""Memory of a work is what it holds in a process of its own, beyond what stood before it."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from bench.memory import Job, memory_beside, watch_memory

MEGABYTE = 1_000_000


def allocating(inputs: int, taken: int) -> Callable[[], object]:
    """Work on `inputs` MB that takes `taken` MB more; as much was freed before, below a block that is kept."""
    held = np.ones(inputs * MEGABYTE, dtype=np.uint8)
    kept = []
    for _ in range(2):
        freed = [np.ones(MEGABYTE, dtype=np.uint8) for _ in range(taken)]
        kept.append(np.ones(MEGABYTE // 2, dtype=np.uint8))
        del freed

    def work() -> int:
        blocks = [held[:MEGABYTE].copy() for _ in range(taken)]
        time.sleep(0.1)
        return len(blocks) + len(kept)

    return work


def holding(megabytes: int) -> int:
    """Returns its argument."""
    block = np.ones(megabytes * MEGABYTE, dtype=np.uint8)
    time.sleep(0.2)
    return block.size // MEGABYTE


def test_neither_inputs_nor_what_was_freed_before_count() -> None:
    ours, peer = Job(allocating, (200, 50)), Job(allocating, (1, 150))
    found = memory_beside("a", ours, {"peer": peer})
    assert found.unit == "MB"
    assert found.value.median == pytest.approx(50, abs=10)
    assert found.against["peer"].median == pytest.approx(3.0, abs=0.7)


def test_all_that_a_process_holds_is_watched() -> None:
    result, small = watch_memory("small", holding, 1)
    _, large = watch_memory("large", holding, 200)
    assert result == 1
    assert large.value.median - small.value.median == pytest.approx(199, abs=20)
