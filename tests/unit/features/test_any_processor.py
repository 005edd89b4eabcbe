"""Features do not depend on the processor: code for one without vector instructions gives the same bits."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from core.features.batch import build_features
from tests.unit.features.bars import REPOSITORY, policy_windows, simulated_bars

BARS = 3_000
PROGRAM = "from tests.unit.features.test_any_processor import digest; print(digest())"


def digest() -> str:
    """SHA-256 over every number of a simulated history's features."""
    table = build_features(simulated_bars(BARS, seed=12), policy_windows())
    numbers = (table.values, table.alpha, table.spread_mean, table.spread_sd)
    return hashlib.sha256(b"".join(column.tobytes() for column in numbers)).hexdigest()


def test_the_plainest_processor_gives_the_same_bits(tmp_path: Path) -> None:
    plain = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", PROGRAM], env=plain, cwd=REPOSITORY, check=True, capture_output=True)
    assert found.stdout.decode().strip() == digest()
