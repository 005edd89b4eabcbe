"""verify: check a bundle's signature and checksums, and open nothing else of it."""

from __future__ import annotations

from typing import Annotated

import typer

from core.stores.bundle_store import open_bundle
from core.stores.signing import SigningKeys
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult

app = typer.Typer()


@app.command()
def verify(
    command: typer.Context,
    model_version: Annotated[str, typer.Option(help="The version to verify.")],
    shared: Annotated[
        bool, typer.Option("--shared", help="Verify the copy inference reads, not the one in models_root.")
    ] = False,
) -> None:
    """Verify a bundle's signature and checksums.

    Example: python -m tasks --config configs verify --model-version 20240101_0000_0000abcd
    """
    run_task(command, "verify", lambda context: verify_bundle(context, model_version, shared=shared))


def verify_bundle(context: TaskContext, model_version: str, *, shared: bool) -> TaskResult:
    """The task's body. Raises InputError, saying why, where the bundle does not verify."""
    folder = context.shared_bundle(model_version) if shared else context.bundle(model_version)
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    bundle = open_bundle(folder, keys.public_key)
    return TaskResult(
        outputs={"model_version": model_version, "bundle": str(bundle.folder), "files": len(bundle.checksums)}
    )
