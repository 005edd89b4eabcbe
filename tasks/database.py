"""database: create or upgrade the PostgreSQL schemas `core`, `audit` and `theta`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from core.stores.database import upgrade
from core.stores.theta_trials import upgrade_trials
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult

app = typer.Typer()


class DatabaseAction(StrEnum):
    UPGRADE = "upgrade"


@app.command()
def database(
    command: typer.Context,
    action: Annotated[DatabaseAction, typer.Argument(help="Bring the schemas to the newest revision.")],
) -> None:
    """Create or upgrade the PostgreSQL schemas. Harmless when they are up to date.

    Example: python -m tasks --config configs database upgrade
    """
    run_task(command, "database", lambda context: upgrade_database(context, action))


def upgrade_database(context: TaskContext, action: DatabaseAction) -> TaskResult:
    """The task's body. Raises TransientError where PostgreSQL does not answer."""
    revision = upgrade(context.variables.postgres_url)
    upgrade_trials(context.variables.postgres_url)
    return TaskResult(outputs={"action": action.value, "revision": revision})
