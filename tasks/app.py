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
from core.errors import BlockedError, CoreError, InputError
from core.stores.roots import StorageRoots
from core.telemetry.logs import configure_logs
from core.telemetry.progress import RedisProgress
from tasks.context import TaskContext, TaskResult
from tasks.workspace import workspace


@dataclass(frozen=True)
class GlobalOptions:
    """Options before the task's name; `typer.Context.obj` of every command."""

    config_root: Path | None
    trace_id: str


def run_task(command: typer.Context, name: str, body: Callable[[TaskContext], TaskResult]) -> None:
    """Run `body` and leave the process with its exit code.

    The last line on standard output is ``{"task", "status", "outputs", "metrics"}``; an expected error adds
    ``"error": {"code", "message", "where", "remedy"}`` (and ``retrain_status: blocked`` to the outputs when something a
    verdict needs is missing) and exits with the error's own code. Anything unexpected is a
    defect: its traceback is logged and the process exits with 1.
    """
    options: GlobalOptions = command.find_root().obj
    try:
        with workspace(build_context(options, name), name) as context:
            result = body(context)
    except CoreError as error:
        fields = {"code": error.code, "message": error.message, "where": error.where, "remedy": error.remedy}
        sys.stderr.write(f"{error}\n")
        outputs = {"retrain_status": "blocked"} if isinstance(error, BlockedError) else {}
        _last_line({"task": name, "status": "failed", "outputs": outputs, "metrics": {}, "error": fields})
        raise typer.Exit(error.exit_code) from error
    _last_line({"task": name, "status": result.status, "outputs": result.outputs, "metrics": result.metrics})
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def build_context(options: GlobalOptions, name: str) -> TaskContext:
    """Read configuration and environment variables for the task `name`."""
    if options.config_root is None:
        raise InputError(
            "CONFIG_ROOT_MISSING",
            "no configuration folder is named",
            where="--config, CONFIG_ROOT",
            remedy="name the folder with base/ and envs/: python -m tasks --config configs …",
        )
    settings = load_settings(options.config_root, read_service_environment(os.environ))
    variables = read_variables(os.environ, settings.environment, settings.ml_core_storage)
    log = configure_logs(variables.log_level, task=name, trace_id=options.trace_id)
    return TaskContext(
        settings=settings,
        variables=variables,
        roots=StorageRoots.below(variables.archive_path, settings.ml_core_storage),
        log=log,
        progress=RedisProgress(variables.redis_url, options.trace_id, name, log),
        trace_id=options.trace_id,
        config_root=options.config_root,
    )


def _last_line(content: dict[str, Any]) -> None:
    sys.stderr.flush()
    sys.stdout.write(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
    sys.stdout.flush()
