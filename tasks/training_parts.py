"""Parts of a training that shards have fitted: runs_root/{run_id}/train/parts/{inputs}/, a file a part.

`inputs` is a hash of everything a part is made from, so that what was made from something else is not found.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, fields
from pathlib import Path

import structlog

from core.config.run_configuration import run_configuration
from core.models.part_file import dump_fit, dump_step, load_fit, load_step
from core.models.samples import Pool
from core.models.walk_forward import FINAL, NO_PARTS, Parts, StepResult
from core.models.windows import Windows
from core.stores.code_version import code_hash
from core.stores.files import sha256_json, write_bytes
from core.stores.run_folder import RunFolder
from tasks.context import REPOSITORY, TaskContext


@dataclass(frozen=True)
class TrainingParts:
    """The parts of one run's training; `columns` are its model inputs."""

    root: Path
    inputs: str
    columns: tuple[str, ...]
    log: structlog.stdlib.BoundLogger

    @classmethod
    def of(cls, context: TaskContext, run: RunFolder, pool: Pool) -> TrainingParts:
        """Raises InputError where the code's version cannot be told."""
        inputs = [code_hash(REPOSITORY), run_configuration(context.settings), _digest(pool)]
        return cls(run.training_parts, sha256_json(inputs), pool.columns, context.log)

    def read(self, windows: Windows) -> Parts:
        """Those that are there and whole; a damaged one is named in the log and left out."""
        steps: dict[str, StepResult] = {}
        final = None
        for step in windows.steps:
            if (content := self._content(step.name)) is not None:
                try:
                    steps[step.name] = load_step(content, step, self.columns)
                except ValueError as error:
                    self._warn(step.name, error)
        if (content := self._content(FINAL)) is not None:
            try:
                final = load_fit(content, self.columns)
            except ValueError as error:
                self._warn(FINAL, error)
        return Parts(steps, final)

    def write(self, parts: Parts) -> None:
        """Keep parts for the task that needs them all. Raises TransientError where the disk is full."""
        for name, result in parts.steps.items():
            write_bytes(self._path(name), dump_step(result))
        if parts.final is not None:
            write_bytes(self._path(FINAL), dump_fit(parts.final))

    def _path(self, name: str) -> Path:
        return self.root / self.inputs / f"{name}.npz"

    def _content(self, name: str) -> bytes | None:
        path = self._path(name)
        return path.read_bytes() if path.is_file() else None

    def _warn(self, name: str, error: ValueError) -> None:
        self.log.warning("training_part_damaged", file=str(self._path(name)), problem=str(error))


def known_parts(context: TaskContext, run: RunFolder, pool: Pool, windows: Windows) -> Parts:
    """What shards of the run have fitted from just this pool."""
    return TrainingParts.of(context, run, pool).read(windows) if run.training_parts.is_dir() else NO_PARTS


def discard_parts(run: RunFolder) -> None:
    """Delete all parts of a run: the training that needed them is whole."""
    shutil.rmtree(run.training_parts, ignore_errors=True)


def _digest(pool: Pool) -> str:
    digest = hashlib.sha256(repr((pool.pair_ids, pool.columns, pool.timeframe_seconds)).encode())
    digest.update(pool.timeline.tobytes())
    for field in fields(pool.samples):
        digest.update(getattr(pool.samples, field.name).tobytes())
    return digest.hexdigest()
