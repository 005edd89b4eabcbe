"""What a task finds in the local archive before it starts, and where what it wrote goes (docs/storage.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.errors import CoreError
from tasks.context import TaskContext

Folders = Callable[[TaskContext], tuple[Path, ...]]


def _lake(context: TaskContext) -> tuple[Path, ...]:
    return (context.roots.canonical,)


def _bars(context: TaskContext) -> tuple[Path, ...]:
    """Months of the configured symbols."""
    lake = context.roots.canonical / context.settings.pipeline_policy.timeframe_default
    return tuple(lake / symbol for symbol in context.settings.universe.symbols)


def _history(context: TaskContext) -> tuple[Path, ...]:
    """Months of the configured symbols, and features of the configured pairs."""
    cache = context.roots.features / context.settings.pipeline_policy.timeframe_default
    return (*_bars(context), *(cache / pair.id for pair in context.settings.universe.pairs))


def _bundles(context: TaskContext) -> tuple[Path, ...]:
    return context.roots.models, context.roots.shared


def _recorded(context: TaskContext) -> tuple[Path, ...]:
    return context.roots.canonical, context.roots.snapshots, context.roots.journal


NEEDS: Final[Mapping[str, Folders]] = {
    "ingest": _lake,
    "catalog": _lake,
    "gate": _bars,
    "features": _history,
    "train": _history,
    "backtest": _history,
    "theta": _history,
    "publish": _bundles,
    "refuse": _bundles,
    "infer": lambda context: (*_bars(context), context.roots.journal),
    "reproduce": _recorded,
    "explain": _recorded,
}
"""What a task reads and may write, besides the run and the bundles it names itself (TaskContext.run, .bundle)."""

ADDS: Final[Mapping[str, Folders]] = {"catalog": lambda context: (context.roots.snapshots,)}
"""Where a task only adds files that are named by their content."""


@contextmanager
def workspace(context: TaskContext, task: str) -> Iterator[TaskContext]:
    """The context a task runs in: with the backend s3 its folders are fetched first and pushed at the end.

    What a task wrote is pushed also when it ends with an expected error: a failed gate's report is there to be read.

    Raises:
        InputError: STORAGE_WORKSPACE_FOREIGN when the local archive holds files of another store or of none; the store
            refuses the caller or is damaged.
        TransientError: the store, PostgreSQL or the disk does not answer, or another task changed the same files.
    """
    if context.variables.storage_backend == "local":
        yield context
        return
    from tasks.mirrored_storage import MirroredStorage  # noqa: PLC0415 - only with the backend s3

    with ExitStack() as held:
        storage = MirroredStorage(context, task, held)
        storage.pull(*NEEDS.get(task, _nothing)(context))
        for folder in ADDS.get(task, _nothing)(context):
            storage.begin(folder)
        try:
            yield replace(context, storage=storage)
        except CoreError:
            storage.push()
            raise
        storage.push()


def _nothing(_: TaskContext) -> tuple[Path, ...]:
    return ()
