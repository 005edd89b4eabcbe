"""Symbols that shards of an import have staged, for the import to take over and publish (SPEC DATA-5).

canonical/.shards/{import}/{symbol}/
    {timeframe}/{symbol}/{YYYY-MM}/…  the partitions that differ from the lake's
    staged.json                       what the import reports of the symbol, the hash of every file, and of the lake
                                      they were compared with

A symbol's folder appears whole or not at all. One that is damaged, or was compared with another lake, is not found.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.errors import InputError
from core.stores.files import disk_errors, read_json, sha256_file, write_json
from core.stores.lake import Lake, LakeStager, LakeWriter
from core.stores.partition import PartitionKey

SHARDS: Final = ".shards"
_RECORD: Final = "staged.json"


@dataclass(frozen=True)
class StagedSymbol:
    """A symbol a shard has staged; `facts` are what `StagingSymbol.keep` was given."""

    folder: Path
    keys: tuple[PartitionKey, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class StagingSymbol:
    """A symbol that is being staged."""

    stager: LakeStager
    target: Path
    record: dict[str, Any]

    def keep(self, facts: Mapping[str, Any]) -> None:
        """Make what was staged visible. Where another process has done so in the meantime, its work stays."""
        folder = self.stager.folder
        files = {str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*") if path.is_file()}
        keys = [[key.timeframe, key.symbol, key.month] for key in self.stager.staged]
        write_json(folder / _RECORD, {**self.record, "facts": facts, "keys": keys, "files": files})
        if self.target.exists():
            shutil.rmtree(self.target, ignore_errors=True)
        try:
            with disk_errors(self.target):
                folder.rename(self.target)
        except OSError:
            if not self.target.is_dir():
                raise


class LakeShards:
    """What the shards of one import have staged.

    Args:
        lake: where to. The caller holds its lock: shared to stage, alone to find and discard.
        timeframe: of the import.
        import_hash: stands for everything the import depends on; another import's shards are not found.
    """

    def __init__(self, lake: Lake, timeframe: str, import_hash: str) -> None:
        self._lake = lake
        self._timeframe = timeframe
        self._folder = lake.root / SHARDS / import_hash

    @contextmanager
    def staging(self, symbol: str) -> Iterator[StagingSymbol]:
        """Stage a symbol in a folder of its own, which goes where `keep` is not called."""
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f".{symbol}.", dir=self._folder))
        folder.chmod(0o755)
        record = {"lake": self._lake.fingerprint(self._timeframe, symbol)}
        try:
            yield StagingSymbol(LakeStager(self._lake, folder), self._folder / symbol, record)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def find(self, symbol: str) -> StagedSymbol | None:
        """The symbol as a shard has staged it; None where none has, it is damaged, or the lake has moved on."""
        folder = self._folder / symbol
        try:
            record = read_json(folder / _RECORD)
        except InputError:
            return None
        whole = all(
            (folder / name).is_file() and sha256_file(folder / name) == sha256
            for name, sha256 in record["files"].items()
        )
        if not whole or record["lake"] != self._lake.fingerprint(self._timeframe, symbol):
            return None
        return StagedSymbol(folder, tuple(PartitionKey(*key) for key in record["keys"]), record["facts"])

    def hand_over(self, found: StagedSymbol, writer: LakeWriter) -> None:
        """Let `writer` publish what a shard has staged."""
        writer.adopt(found.folder, found.keys)

    def discard(self) -> None:
        """Throw away what any shard has staged, those of imports that never came to their end too."""
        shutil.rmtree(self._lake.root / SHARDS, ignore_errors=True)
