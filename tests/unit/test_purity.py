"""Pure rooms see no clock, no environment, no disk and no network."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "core"
PURE = ("market", "quality", "features", "labels", "models", "signals", "backtest", "thresholds", "report")
IMPURE_MODULES = {
    "os",
    "pathlib",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "time",
    "random",
    "urllib",
    "http",
}
CLOCK_CALLS = {"now", "utcnow", "today"}
DISK_CALLS = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "read_parquet", "to_parquet", "read_csv"}


def _violations(source: str) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in IMPURE_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in IMPURE_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CLOCK_CALLS | DISK_CALLS or (name == "open" and isinstance(node.func, ast.Name)):
                found.append(f"{name}() at line {node.lineno}")
    return found


def _pure_files() -> list[Path]:
    config = [path for path in (CORE / "config").glob("*.py") if path.stem not in {"loader", "environment_variables"}]
    return sorted([*config, *(path for room in PURE for path in (CORE / room).rglob("*.py"))])


@pytest.mark.parametrize("path", _pure_files(), ids=lambda path: str(path.relative_to(CORE)))
def test_pure_room_file_touches_nothing_outside(path: Path) -> None:
    assert _violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["import os", "from pathlib import Path", "import datetime\ndatetime.datetime.now()", "open('x')", "f.read_text()"],
)
def test_the_check_sees_a_violation(source: str) -> None:
    assert _violations(source)
