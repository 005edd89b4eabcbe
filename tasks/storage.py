"""storage: look after the object store that holds the archive (docs/storage.md)."""

from __future__ import annotations

import datetime
from contextlib import ExitStack
from typing import Annotated

import typer

from core.config.environment_variables import BACKEND
from core.errors import InputError
from core.stores.object_storage.layout import Layout
from core.stores.object_storage.locks import StorageLocks
from core.stores.object_storage.sweep import sweep
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.mirrored_storage import MirroredStorage, open_store

app = typer.Typer()


@app.callback()
def storage() -> None:
    """Look after the object store (STORAGE_BACKEND=s3)."""


@app.command("sweep")
def sweep_store(
    command: typer.Context,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them; otherwise they are only counted.")] = False,
) -> None:
    """Count or delete stored contents that no folder names any more and that are past the grace period.

    Example: python -m tasks --config configs storage sweep --delete
    """
    run_task(command, "storage", lambda context: sweep_unnamed(context, delete=delete))


@app.command("upload")
def upload_archive(command: typer.Context) -> None:
    """Take the local archive at ARCHIVE_PATH to the store; from then on it is a copy of the store.

    Running it again goes on where it was interrupted. Keys stay where they are.

    Example: python -m tasks --config configs storage upload
    """
    run_task(command, "storage", upload)


@app.command("fetch")
def fetch_folder(
    command: typer.Context,
    folder: Annotated[str, typer.Argument(help="Folder below ARCHIVE_PATH, e.g. runs/20240101_0000_0123abcd/gates.")],
) -> None:
    """Fetch a folder of the store into ARCHIVE_PATH, to be read there.

    Example: python -m tasks --config configs storage fetch runs/20240101_0000_0123abcd/gates
    """
    run_task(command, "storage", lambda context: fetch(context, folder))


def sweep_unnamed(context: TaskContext, *, delete: bool) -> TaskResult:
    """Body of `sweep`. Raises InputError and TransientError as core.stores.object_storage.sweep does."""
    _require_store(context)
    settings, trees = context.settings.ml_core_storage.s3, open_store(context)
    swept = sweep(
        trees,
        StorageLocks(context.variables.postgres_url, trees.objects.name),
        grace=datetime.timedelta(hours=settings.sweep_grace_hours),
        now=datetime.datetime.now(datetime.UTC),
        delete=delete,
        transfers=settings.transfers,
    )
    return TaskResult(
        outputs={
            "store": trees.objects.name,
            "trees": swept.trees,
            "blobs": swept.blobs,
            "unnamed": swept.unnamed,
            "unnamed_bytes": swept.unnamed_bytes,
            "deleted": delete,
        }
    )


def upload(context: TaskContext) -> TaskResult:
    """Body of `upload`.

    Raises:
        TransientError: the store holds other files of the same folders; it or the disk does not answer.
        InputError: the folder is a copy of another store, or the store refuses the caller.
    """
    _require_store(context)
    with ExitStack() as held:
        MirroredStorage(context, "storage upload", held).upload()
    return TaskResult(outputs={"archive": str(context.roots.archive)})


def fetch(context: TaskContext, folder: str) -> TaskResult:
    """Body of `fetch`.

    Raises:
        InputError: the store holds no such folder or refuses the caller, or ARCHIVE_PATH holds files from elsewhere.
        TransientError: the store, PostgreSQL or the disk does not answer.
    """
    _require_store(context)
    archive = context.roots.archive
    plain = all(part and not part.startswith(".") for part in folder.split("/"))
    if plain and Layout.of(context.settings.ml_core_storage).root_of(folder):
        with ExitStack() as held:
            MirroredStorage(context, "storage fetch", held).pull(archive / folder)
        files = sorted(str(path.relative_to(archive)) for path in (archive / folder).rglob("*") if path.is_file())
        if files:
            return TaskResult(outputs={"files": files})
    raise InputError(
        "STORAGE_FOLDER_ABSENT",
        "the object store holds no such folder",
        where=folder,
        remedy="name a folder below one of the roots of ml_core_storage.yaml, such as runs/RUN/gates",
    )


def _require_store(context: TaskContext) -> None:
    if context.variables.storage_backend != "s3":
        raise InputError(
            "STORAGE_BACKEND_LOCAL",
            "the archive is local, so there is no object store to look after",
            where=BACKEND,
            remedy=f"set {BACKEND}=s3 and the S3_… variables",
        )
