"""How a command that needs no configuration of its own ends: the last line and the exit code of every task."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import orjson
import typer

from core.errors import CoreError
from tasks.context import TaskResult


def run_and_report(name: str, body: Callable[[], TaskResult]) -> None:
    """Run `body`; its result, or the expected error it raised, is the last JSON line. An error exits with its code."""
    try:
        result = body()
    except CoreError as error:
        fields = {"code": error.code, "message": error.message, "where": error.where, "remedy": error.remedy}
        sys.stderr.write(f"{error}\n")
        _last_line({"task": name, "status": "failed", "outputs": {}, "metrics": {}, "error": fields})
        raise typer.Exit(error.exit_code) from error
    _last_line({"task": name, "status": result.status, "outputs": result.outputs, "metrics": result.metrics})


def _last_line(content: dict[str, Any]) -> None:
    sys.stderr.flush()
    sys.stdout.write(orjson.dumps(content).decode() + "\n")
    sys.stdout.flush()
