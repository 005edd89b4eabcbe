"""keys: make the key pair that signs artifact bundles."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from core.stores.signing import SigningKeys, keys_present, make_keys
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult

app = typer.Typer()


class KeysAction(StrEnum):
    INIT = "init"


@app.command()
def keys(
    command: typer.Context,
    action: Annotated[
        KeysAction, typer.Argument(help="Make the pair where environment.signing says, if there is none.")
    ],
) -> None:
    """Make the signing key pair. A pair that is there is kept; a key is never overwritten.

    Example: python -m tasks --config configs keys init
    """
    run_task(command, "keys", lambda context: make_pair(context, action))


def make_pair(context: TaskContext, action: KeysAction) -> TaskResult:
    """The task's body. Raises InputError when only one of the two files is there."""
    pair = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    present = keys_present(pair)
    if not present:
        make_keys(pair)
    return TaskResult(outputs={"action": action.value, "created": not present, "public_key": str(pair.public_key)})
