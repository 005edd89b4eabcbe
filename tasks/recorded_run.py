"""A run as it was recorded: who it is, its configuration, and the bars it used."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pandas as pd

from core.config.run_configuration import with_run_configuration
from core.config.settings import Settings
from core.errors import InputError
from core.stores.bundle_store import Bundle, open_bundle
from core.stores.catalog_index import read_index
from core.stores.files import write_bytes
from core.stores.lake import Lake
from core.stores.run_folder import RunFolder, RunIdentity
from core.stores.signing import SigningKeys
from core.stores.snapshots import Supply, supply_partitions
from tasks.context import TaskContext


@dataclass(frozen=True)
class RecordedRun:
    """What the tasks after catalog start from. `given` holds the files' bytes by their names in a bundle."""

    identity: RunIdentity
    settings: Settings
    index: pd.DataFrame
    given: Mapping[str, bytes]

    def lay_out(self, run: RunFolder) -> None:
        """Write the given files into another folder of the same run."""
        for name, path in run.given.items():
            write_bytes(path, self.given[name])

    def supply(self, context: TaskContext, index: pd.DataFrame, canonical: Path) -> tuple[Supply, ...]:
        """Lay the bars of (a part of) the index out as a lake below `canonical`, from the lake or the snapshots."""
        return supply_partitions(Lake(context.roots.canonical), context.roots.snapshots, index, canonical)

    def context(self, context: TaskContext, canonical: Path) -> TaskContext:
        """`context` with the recorded configuration, and `canonical` in place of the lake."""
        return replace(context, settings=self.settings, roots=replace(context.roots, canonical=canonical))


def open_model(context: TaskContext, model_version: str) -> Bundle:
    """The verified bundle of a version.

    Raises:
        InputError: it does not verify, was never published, or has been deleted.
    """
    folder = context.bundle(model_version)
    if not folder.is_dir():
        kept = context.settings.retrain_policy.versions_kept
        raise InputError(
            "RECORD_MODEL_ABSENT",
            f"there are no artifacts of {model_version}: it was never published here, or it is older than the {kept}"
            " versions that are kept",
            where=str(folder),
            remedy="list the versions with `python -m tasks registry list`; retrain_policy.yaml says how many are kept",
        )
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    return open_bundle(folder, keys.public_key)


def run_of_bundle(context: TaskContext, bundle: Bundle) -> RecordedRun:
    """The run a bundle was published from. Raises InputError where this code cannot read its configuration."""
    names = RunFolder(Path()).given
    return _recorded(context, {name: bundle.read(name) for name in names})


def run_of_folder(context: TaskContext, run: RunFolder) -> RecordedRun:
    """A run whose folder is still there. Raises InputError where a file of it is missing or unreadable."""
    try:
        return _recorded(context, {name: path.read_bytes() for name, path in run.given.items()})
    except (FileNotFoundError, orjson.JSONDecodeError) as error:
        raise InputError(
            "RECORD_RUN_ABSENT",
            f"the run's record is gone or unreadable, so its bars are not known: {error}",
            where=str(run.path),
            remedy="bring the run's folder back, or name with --run-id a run that used the same bars",
        ) from error


def _recorded(context: TaskContext, given: Mapping[str, bytes]) -> RecordedRun:
    return RecordedRun(
        identity=RunIdentity.from_content(orjson.loads(given["run.json"])),
        settings=with_run_configuration(context.settings, orjson.loads(given["config.json"])),
        index=read_index(io.BytesIO(given["dataset_index.parquet"])),
        given=given,
    )
