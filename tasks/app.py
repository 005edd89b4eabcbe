"""Runs a task body: builds its context, prints its last JSON line, turns an error into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import typer

from core.config.environment_variables import read_service_environment, read_variables
from core.config.loader import load_settings
from core.config.narrowing import narrowed
from core.errors import BlockedError, CoreError, InputError
from core.stores.roots import StorageRoots
from core.telemetry.logs import configure_logs
from core.telemetry.progress import RedisProgress
from tasks.attempt import attempt
from tasks.context import TaskContext, TaskResult
from tasks.shard import Shard
from tasks.workspace import workspace


@dataclass(frozen=True)
class GlobalOptions:
    """Options before the task's name; `typer.Context.obj` of every command."""

    config_root: Path | None
    trace_id: str
    pairs: tuple[str, ...] | None
    history_months: int | None


def run_task(
    command: typer.Context,
    name: str,
    body: Callable[[TaskContext], TaskResult],
    shard: Shard | None = None,
    process: str | None = None,
) -> None:
    """Run `body` and leave the process with its exit code.

    The last line on standard output is ``{"task", "status", "outputs", "metrics"}``; an expected error adds
    ``"error": {"code", "message", "where", "remedy"}`` and hands its own outputs on (and ``retrain_status: blocked``
    when something a verdict needs is missing), and exits with the error's own code. Anything unexpected is a
    defect: its traceback is logged and the process exits with 1. The task beats while it runs, and leaves a row in
    core.task_runs once it has ended. Beat, progress and log go by the name `process`, the task's own by default; it is
    given where several of a task run side by side in one trace, and a shard's number is put behind it.
    """
    options: GlobalOptions = command.find_root().obj
    part = None if shard is None else str(shard)
    process = (process or name) + (f"[{part}]" if part else "")

    def in_workspace(context: TaskContext) -> TaskResult:
        with workspace(context, name) as stored:
            return body(stored)

    try:
        context = build_context(options, process)
        result = attempt(context, name, process, part, command.params.get("run_id"), in_workspace)
    except CoreError as error:
        fields = {"code": error.code, "message": error.message, "where": error.where, "remedy": error.remedy}
        sys.stderr.write(f"{error}\n")
        blocked = {"retrain_status": "blocked"} if isinstance(error, BlockedError) else {}
        outputs = {**error.outputs, **blocked}
        _last_line({"task": name, "status": "failed", "outputs": outputs, "metrics": {}, "error": fields})
        raise typer.Exit(error.exit_code) from error
    _last_line({"task": name, "status": result.status, "outputs": result.outputs, "metrics": result.metrics})
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def build_context(options: GlobalOptions, process: str) -> TaskContext:
    """Read configuration and environment variables for a task's process, by the name it goes by."""
    if options.config_root is None:
        raise InputError(
            "CONFIG_ROOT_MISSING",
            "no configuration folder is named",
            where="--config, CONFIG_ROOT",
            remedy="name the folder with base/ and envs/: python -m tasks --config configs …",
        )
    loaded = load_settings(options.config_root, read_service_environment(os.environ))
    settings = narrowed(loaded, options.pairs, options.history_months)
    variables = read_variables(os.environ, settings.environment, settings.ml_core_storage)
    log = configure_logs(variables.log_level, task=process, trace_id=options.trace_id)
    return TaskContext(
        settings=settings,
        variables=variables,
        roots=StorageRoots.below(variables.archive_path, settings.ml_core_storage),
        log=log,
        progress=RedisProgress(variables.redis_url, options.trace_id, process, log),
        trace_id=options.trace_id,
        config_root=options.config_root,
    )


def _last_line(content: dict[str, Any]) -> None:
    sys.stderr.flush()
    sys.stdout.write(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
    sys.stdout.flush()
