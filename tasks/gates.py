"""The gates of a run: what each looks at, and that no task goes on from what has not passed (SPEC CAT-4)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from core.errors import InputError
from core.stores.files import read_json, sha256_file, write_json
from core.stores.run_folder import RunFolder

_PASSED: Final = "passed.json"


class Gate(StrEnum):
    """The gates, in the order the chain meets them."""

    CANONICAL = "canonical"
    INDEX = "index"
    FEATURES = "features"
    PREDICTIONS = "predictions"


def gated_file(run: RunFolder, gate: Gate) -> Path:
    """The file of a run whose content a gate passes; the index stands for the bars, whose hashes it holds."""
    return {
        Gate.CANONICAL: run.dataset_index,
        Gate.INDEX: run.dataset_index,
        Gate.FEATURES: run.extreme_rows,
        Gate.PREDICTIONS: run.oos_predictions,
    }[gate]


def keep_passed(run: RunFolder, gate: Gate, sha256: str) -> None:
    """Record that a gate passed the file of this hash: gates/{gate}/passed.json."""
    write_json(run.gate(gate) / _PASSED, {"gate": gate, "sha256": sha256})


def require_gates(run: RunFolder, *gates: Gate) -> None:
    """Raise InputError GATE_RESULT_MISSING unless each gate has passed the file as it is now."""
    for gate in gates:
        result, gated = run.gate(gate) / _PASSED, gated_file(run, gate)
        if not (result.is_file() and gated.is_file()):
            raise _not_passed(run, gate, "has not passed")
        if read_json(result).get("sha256") != sha256_file(gated):
            raise _not_passed(run, gate, f"passed another {gated.name} than the one that is there now")


def _not_passed(run: RunFolder, gate: Gate, found: str) -> InputError:
    return InputError(
        "GATE_RESULT_MISSING",
        f"the gate {gate} of the run {found}, and nothing goes on without it",
        where=str(run.gate(gate)),
        remedy=f"run `python -m tasks gate --name {gate} --run-id {run.path.name}` first",
    )
