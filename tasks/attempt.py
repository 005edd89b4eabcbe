"""One attempt of a task: it beats while it runs, and leaves a row however it ends by itself (SPEC ORC-2, OBS-1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from core.errors import CoreError
from core.stores.task_runs import TaskRun, TaskRuns
from core.telemetry.heartbeat import heartbeat
from tasks.context import TaskContext, TaskResult

FAILED: Final = "failed"


def attempt(
    context: TaskContext,
    name: str,
    process: str,
    shard: str | None,
    run_id: str | None,
    body: Callable[[TaskContext], TaskResult],
) -> TaskResult:
    """`body(context)`, with the heartbeat of `process` in Redis and a row of the task `name` in core.task_runs.

    Neither changes how the task ends: where a server does not answer, a warning is logged.

    Raises:
        Exception: whatever the body raises.
    """
    every = context.settings.retrain_policy.heartbeat_seconds
    start = time.monotonic()
    ending = TaskRun(name, shard, context.trace_id, run_id, 0.0, FAILED, CoreError.exit_code, {})
    try:
        with heartbeat(context.variables.redis_url, context.trace_id, process, every, context.log):
            result = body(context)
        made = run_id or result.outputs.get("run_id")
        ending = replace(ending, run_id=made, status=result.status, exit_code=result.exit_code, metrics=result.metrics)
    except CoreError as error:
        ending = replace(ending, exit_code=error.exit_code)
        raise
    finally:
        _record(context, replace(ending, seconds=time.monotonic() - start))
    return result


def _record(context: TaskContext, ending: TaskRun) -> None:
    try:
        TaskRuns(context.variables.postgres_url).record(ending)
    except (CoreError, SQLAlchemyError) as error:
        context.log.warning("task_run_not_recorded", error=str(error))
