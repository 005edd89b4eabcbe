"""reproduce: rebuild a model from recorded data, code, configuration and seed, and compare it (SPEC TRN-4)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from core.errors import BlockedError, InputError
from core.stores.bundle_store import Bundle
from core.stores.catalog_index import data_hash
from core.stores.code_version import code_hash
from core.stores.files import disk_errors
from core.stores.snapshots import Supply
from tasks.app import run_task
from tasks.context import REPOSITORY, TaskContext, TaskResult
from tasks.publishing import VERDICT_NUMBERS
from tasks.rebuild import Rebuilt, rebuild
from tasks.recorded_run import RecordedRun, open_model, run_of_bundle
from tasks.table import print_table

app = typer.Typer()

DIFFERS: Final = 12
"""Exit code of a rebuild or replay that ended and is not what was recorded."""
_SHOWN: Final = 16
_NAMED: Final = 5


@app.command()
def reproduce(
    command: typer.Context,
    model_version: Annotated[str, typer.Option(help="The published version to rebuild.")],
    any_code: Annotated[
        bool, typer.Option("--any-code", help="Rebuild with the code at hand, even if it is not the recorded one.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Keep the rebuilt run in this folder, which must not exist; else it is deleted.")
    ] = None,
) -> None:
    """Rebuild a published model from its record and compare every file with what its checksums say.

    Takes as long as the retrain did. The last line's status is `reproduced` (exit code 0) or `differs` (12).

    Example: python -m tasks --config configs reproduce --model-version 20240101_0000_0000abcd
    """
    run_task(command, "reproduce", lambda context: reproduce_model(context, model_version, any_code=any_code, out=out))


def reproduce_model(
    context: TaskContext, model_version: str, *, any_code: bool = False, out: Path | None = None
) -> TaskResult:
    """The task's body. The bundle is verified before anything of it is read; registry, lake and caches stay untouched.

    Raises:
        InputError: the bundle is refused or absent, its record cannot be read, or the bundle of the model it was judged
            against is gone.
        BlockedError: another code runs than the recorded one, or recorded bars are nowhere to be found.
        CoreError: what the rebuilt tasks raise.
    """
    bundle = open_model(context, model_version)
    recorded = run_of_bundle(context, bundle)
    running = code_hash(REPOSITORY)
    same_code = running == recorded.identity.code_hash
    if not same_code and not any_code:
        raise _other_code(recorded.identity.code_hash, running)
    if recorded.identity.previous is not None:
        open_model(context, recorded.identity.previous.model_version)
    with _folder(context, out) as folder:
        supplies = recorded.supply(context, recorded.index, folder / "canonical")
        _require_bars(recorded, supplies)
        from_snapshots = [supply for supply in supplies if supply.source == "snapshot"]
        context.log.info("bars_supplied", partitions=len(supplies), from_snapshots=len(from_snapshots))
        rebuilt = rebuild(context, recorded, folder)
    return _compared(bundle, recorded, rebuilt, from_snapshots, running, out)


def _compared(
    bundle: Bundle,
    recorded: RecordedRun,
    rebuilt: Rebuilt,
    from_snapshots: list[Supply],
    running: str,
    out: Path | None,
) -> TaskResult:
    """Print the tables, and the last line."""
    verdict: Mapping[str, Any] = orjson.loads(bundle.read("metrics.json"))["verdict"]
    files = {name: (bundle.checksums[name], rebuilt.hashes[name]) for name in bundle.checksums}
    numbers = {name: (verdict[name], rebuilt.verdict[name]) for name in ("status", *VERDICT_NUMBERS)}
    if from_snapshots:
        print_table([("partition restated since", "recorded", "in the lake", ""), *map(_partition_row, from_snapshots)])
    rows = [(name, old[:_SHOWN], new[:_SHOWN], _same(old, new)) for name, (old, new) in files.items()]
    rows += [(name, str(old), str(new), _same(old, new)) for name, (old, new) in numbers.items()]
    print_table([("", "recorded", "rebuilt", ""), *rows])
    differing = [name for name, (old, new) in (*files.items(), *numbers.items()) if old != new]
    return TaskResult(
        status="differs" if differing else "reproduced",
        exit_code=DIFFERS if differing else 0,
        outputs={
            "model_version": bundle.model_version,
            "differing": differing,
            "files": {name: {"recorded": old, "rebuilt": new} for name, (old, new) in files.items()},
            "verdict": {name: {"recorded": old, "rebuilt": new} for name, (old, new) in numbers.items()},
            "code": {"recorded": recorded.identity.code_hash, "running": running},
            "partitions_from_snapshots": [str(supply.key) for supply in from_snapshots],
            "kept_in": str(out) if out is not None else None,
        },
    )


def _partition_row(supply: Supply) -> tuple[str, str, str, str]:
    found = supply.lake_hash[:_SHOWN] if supply.lake_hash is not None else "not there"
    return str(supply.key), supply.recorded_hash[:_SHOWN], found, "taken from the snapshot"


def _same(old: object, new: object) -> str:
    return "same" if old == new else "DIFFERENT"


def _other_code(recorded: str, running: str) -> BlockedError:
    commit, _, changed = recorded.partition("+")
    note = ", and it had changes that were never committed" if changed else ""
    return BlockedError(
        "REPRODUCE_CODE_DIFFERS",
        f"the code differs: the model was made by {recorded}{note}; {running} runs",
        where=str(REPOSITORY),
        remedy=f"check out {commit} (or run its image), or give --any-code to compare what this code makes of it",
    )


def _require_bars(recorded: RecordedRun, supplies: tuple[Supply, ...]) -> None:
    """All recorded partitions are there, and they are those the model's data_hash stands for."""
    lost = [supply for supply in supplies if supply.source == "nowhere"]
    if lost:
        named = "; ".join(_lost(supply) for supply in lost[:_NAMED])
        more = f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        raise BlockedError(
            "REPRODUCE_DATA_CHANGED",
            f"{len(lost)} of {len(supplies)} partitions no longer hold the recorded bars, and no snapshot does:"
            f" {named}{more}",
            where="canonical_root and snapshots_root",
            remedy="restore these partitions or snapshots from a backup",
        )
    if data_hash(recorded.index) != recorded.identity.data_hash:
        raise InputError(
            "REPRODUCE_RECORD_INCONSISTENT",
            "the index in the bundle is not the one data_hash stands for",
            where="dataset_index.parquet, run.json",
            remedy="the bundle was published from a run that was altered; train a model anew",
        )


def _lost(supply: Supply) -> str:
    found = f"holds {supply.lake_hash[:_SHOWN]}" if supply.lake_hash is not None else "is absent or unreadable"
    return f"{supply.key} {found}, recorded is {supply.recorded_hash[:_SHOWN]}"


@contextmanager
def _folder(context: TaskContext, out: Path | None) -> Iterator[Path]:
    """Where to rebuild: a folder that stays, or one below runs_root that is deleted."""
    if out is not None:
        if out.exists():
            raise InputError(
                "REPRODUCE_OUT_EXISTS", "the folder is there", where=str(out), remedy="name one that does not exist yet"
            )
        with disk_errors(out):
            out.mkdir(parents=True)
        yield out
        return
    with disk_errors(context.roots.runs):
        context.roots.runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".reproduce.", dir=context.roots.runs) as name:
        yield Path(name)
