"""registry: list and show registered models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

import orjson
import typer

from core.errors import InputError
from core.stores.registry import ModelEntry, Registry
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.table import print_table

app = typer.Typer()

_COLUMNS: Final = ("version", "status", "created (UTC)", "θ1", "θ2", "Sharpe", "drawdown", "trades/yr")
_JSON = Annotated[bool, typer.Option("--json", help="Print no table, only the last line.")]


@app.callback()
def registry() -> None:
    """Look at registered models."""


@app.command("list")
def list_models(command: typer.Context, as_json: _JSON = False) -> None:
    """All versions, newest first.

    Example: python -m tasks --config configs registry list
    """
    run_task(command, "registry", lambda context: list_versions(context, table=not as_json))


@app.command("show")
def show_model(
    command: typer.Context,
    model_version: Annotated[str, typer.Option(help="The version to show.")],
    as_json: _JSON = False,
) -> None:
    """Everything the registry knows of a version.

    Example: python -m tasks --config configs registry show --model-version 20240101_0000_0000abcd
    """
    run_task(command, "registry", lambda context: show_version(context, model_version, table=not as_json))


def list_versions(context: TaskContext, *, table: bool) -> TaskResult:
    """Body of `list`."""
    entries = Registry(context.variables.postgres_url).history()
    if table:
        print_table([_COLUMNS, *(_row(entry) for entry in entries)])
    return TaskResult(outputs={"models": [_summary(entry) for entry in entries]})


def show_version(context: TaskContext, model_version: str, *, table: bool) -> TaskResult:
    """Body of `show`. Raises InputError for a version that is not registered."""
    entry = Registry(context.variables.postgres_url).find(model_version)
    if entry is None:
        raise InputError(
            "REGISTRY_MODEL_UNKNOWN",
            "no such version is registered",
            where=f"core.model_registry {model_version}",
            remedy="list the versions with `python -m tasks registry list`",
        )
    content = {**_summary(entry), "notes": entry.notes, **asdict(entry.facts)}
    if table:
        print_table([(name, _text(value)) for name, value in content.items() if name != "metrics_json"])
    return TaskResult(outputs=content)


def _summary(entry: ModelEntry) -> dict[str, Any]:
    return {
        "model_version": entry.facts.model_version,
        "status": entry.status.value,
        "created_at": entry.created_at.isoformat(timespec="seconds"),
        "theta1": entry.facts.theta1,
        "theta2": entry.facts.theta2,
    }


def _row(entry: ModelEntry) -> tuple[str, ...]:
    verdict = entry.facts.metrics_json.get("verdict", {})
    return (
        entry.facts.model_version,
        entry.status.value,
        f"{entry.created_at:%Y-%m-%d %H:%M}",
        f"{entry.facts.theta1:.3f}",
        f"{entry.facts.theta2:.3f}",
        *(_number(verdict.get(name)) for name in ("sharpe", "max_drawdown", "trades_per_year")),
    )


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
