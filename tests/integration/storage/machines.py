"""Machines that share a store: each task finds an archive of its own with nothing in it but the keys."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.stores.object_storage.layout import is_hidden
from tests.fixtures.command_line import Command


@dataclass(frozen=True)
class Machines:
    """The command line, every time on another machine."""

    command: Command
    folder: Path
    keys: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @classmethod
    def over(
        cls, config: Path, folder: Path, keys: Path, servers: tuple[str, str], store: Mapping[str, str]
    ) -> Machines:
        command = Command.over(config, folder, *servers)
        return cls(replace(command, environ={**command.environ, **store}), folder, keys)

    def next(self) -> Command:
        """A new machine."""
        archive = self.folder / f"machine-{next(self._numbers)}"
        shutil.copytree(self.keys, archive / "keys")
        return replace(self.command, environ={**self.command.environ, "ARCHIVE_PATH": str(archive)})


def free_backend(config: Path) -> Path:
    """Let STORAGE_BACKEND choose, as base does."""
    (config / "envs" / "dev" / "ml_core_storage.yaml").unlink()
    return config


def archive_of(command: Command) -> Path:
    return Path(command.environ["ARCHIVE_PATH"])


def files_below(folder: Path) -> dict[str, bytes]:
    """Content by relative path of all files that are not hidden."""
    found = ((path, path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {str(name): path.read_bytes() for path, name in found if not is_hidden(name)}
