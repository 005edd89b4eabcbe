"""The lake of canonical bars: month partitions, written whole or not at all (SPEC DATA-4, DATA-5)."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError
from core.quality.cleaning import MonthQuality
from core.stores import partition
from core.stores.files import disk_errors, read_json, sha256_file
from core.stores.lake_lock import exclusive_lock, shared_lock
from core.stores.partition import PartitionKey, Provenance

STAGED: Final = ".staged"
REPLACED: Final = ".replaced"
REMOVED: Final = ".removed"
_JSON: Final = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True)
class Watermark:
    """How far a symbol's bars reach: open of the newest bar (ISO 8601 UTC) and the source it came from."""

    last_ts: str
    source: str


class Lake:
    """Partitions below canonical_root. Reading needs no lock; writing goes through `writing`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: PartitionKey) -> Path:
        """Where the partition lies."""
        return self.root / key.folder

    def keys(self, timeframe: str) -> list[PartitionKey]:
        """All partitions of a time frame, sorted by symbol and month."""
        found = (self.root / timeframe).glob(f"*/*/{partition.META}")
        return sorted(PartitionKey(timeframe, path.parent.parent.name, path.parent.name) for path in found)

    def months(self, timeframe: str, symbol: str) -> list[str]:
        """Months of a symbol that have a partition, oldest first."""
        return sorted(path.parent.name for path in (self.root / timeframe / symbol).glob(f"*/{partition.META}"))

    def watermark(self, timeframe: str, symbol: str) -> Watermark | None:
        """How far the symbol's bars reach, or None where it has none. Raises InputError where that cannot be read."""
        months = self.months(timeframe, symbol)
        if not months:
            return None
        key = PartitionKey(timeframe, symbol, months[-1])
        path = self.folder(key) / partition.PROVENANCE
        try:
            source = pq.ParquetFile(path).read(columns=["source"], use_threads=False)["source"]
        except (pa.ArrowInvalid, OSError) as error:
            remedy = f"delete the folder {path.parent} and run ingest: it writes the month again"
            raise _unreadable(path, "provenance", remedy, error) from error
        return Watermark(self.meta(key)["last_ts"], source[-1].as_py())

    def fingerprint(self, timeframe: str, symbol: str) -> str:
        """Hex SHA-256 over every file of the symbol's partitions."""
        digest = hashlib.sha256()
        folder = self.root / timeframe / symbol
        for path in sorted(path for path in folder.glob("*/*") if path.is_file()):
            digest.update(f"{path.relative_to(folder)} {sha256_file(path)}\n".encode())
        return digest.hexdigest()

    def meta(self, key: PartitionKey) -> dict[str, Any]:
        """Content of the partition's `__meta.json`. Raises InputError where it is absent or unreadable."""
        content: dict[str, Any] = read_json(self.folder(key) / partition.META)
        return content

    def quarantined(self, key: PartitionKey) -> bool:
        """Whether the partition is in quarantine."""
        return (self.folder(key) / partition.QUARANTINE).is_file()

    def table(self, key: PartitionKey) -> pa.Table:
        """The partition's bars, unverified. Raises InputError where they are absent or unreadable."""
        path = self.folder(key) / partition.BARS
        try:
            return pq.ParquetFile(path).read(use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(path, "bars", "run ingest: it writes a damaged partition again", error) from error

    @contextmanager
    def writing(self, holder: str) -> Iterator[LakeWriter]:
        """Take the writer's lock, mend what a killed writer left, and throw away what was staged but not published.

        Raises TransientError when another process writes.
        """
        with exclusive_lock(self.root, holder, wait=False):
            self._mend()
            try:
                yield LakeWriter(self, self.root / STAGED)
            finally:
                self._mend()

    @contextmanager
    def sharing(self, holder: str) -> Iterator[None]:
        """Keep writers out while others may do the same: to stage what a writer will take over.

        Raises TransientError when another process writes.
        """
        with shared_lock(self.root, holder):
            yield

    @contextmanager
    def reading(self, holder: str) -> Iterator[None]:
        """Wait until no process writes, mend what a killed writer left, and keep writers out."""
        with exclusive_lock(self.root, holder, wait=True):
            self._mend()
            yield

    def _mend(self) -> None:
        """Put partitions back that were set aside but not replaced; drop the rest of an unfinished write."""
        aside = self.root / REPLACED
        for path in sorted(aside.glob("*/*/*")):
            target = self.root / path.relative_to(aside)
            if not target.exists():
                path.rename(target)
        for leftover in (aside, self.root / STAGED):
            if leftover.exists():
                shutil.rmtree(leftover)


@dataclass
class LakeStager:
    """Writes partitions into `folder`, beside the lake. `stage` may be called from several threads."""

    lake: Lake
    folder: Path
    _staged: set[PartitionKey] = field(default_factory=set)

    def stage(
        self, key: PartitionKey, bars: pa.Table, quality: MonthQuality, provenance: Provenance, owner: str
    ) -> bool:
        """Write a month's files to `folder`, flushed to disk, unless the lake already holds exactly them.

        A bar that does not change keeps the provenance it has. Returns whether anything was staged.

        Args:
            bars: the month's bars (BARS_SCHEMA), at least one.

        Raises:
            TransientError: the disk is full or fails; nothing of the partition is published.
        """
        documents = {partition.META: partition.meta(key, bars, quality.counts)}
        findings = partition.quarantine(quality.findings, owner)
        if findings:
            documents[partition.QUARANTINE] = findings
        contents = {name: orjson.dumps(document, option=_JSON) for name, document in documents.items()}
        contents[partition.BARS] = partition.parquet_bytes(bars)
        present = self.lake.folder(key)
        names = (*contents, partition.QUARANTINE)
        if all(_bytes_or_none(present / name) == contents.get(name) for name in names):
            return False
        known = _known_provenance(present, bars)
        contents[partition.PROVENANCE] = partition.parquet_bytes(partition.provenance_table(bars, provenance, known))
        folder = self.folder / key.folder
        with disk_errors(folder):
            folder.mkdir(parents=True)
            for name, content in contents.items():
                _write_durably(folder / name, content)
            _sync_folder(folder)
        self._staged.add(key)
        return True

    @property
    def staged(self) -> list[PartitionKey]:
        """What has been staged, sorted."""
        return sorted(self._staged)


class LakeWriter(LakeStager):
    """Stages partitions and publishes them by renaming."""

    def adopt(self, folder: Path, keys: Sequence[PartitionKey]) -> None:
        """Take over partitions another stager has staged in `folder`, on the lake's own disk."""
        for key in keys:
            target = self.folder / key.folder
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                (folder / key.folder).rename(target)
            self._staged.add(key)

    def publish(self, oldest_month: str) -> list[PartitionKey]:
        """Make the staged partitions from `oldest_month` on visible, each at once; returns them sorted."""
        published = sorted(key for key in self._staged if key.month >= oldest_month)
        for key in published:
            target, staged = self.lake.folder(key), self.folder / key.folder
            with disk_errors(target):
                if target.exists():
                    self._set_aside(key)
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.rename(target)
        for folder in {self.lake.folder(key).parent for key in published}:
            _sync_folder(folder)
        self._staged.clear()
        return published

    def remove(self, key: PartitionKey) -> None:
        """Take a partition out of the lake, at once."""
        grave = self.folder / REMOVED / key.folder
        grave.parent.mkdir(parents=True, exist_ok=True)
        self.lake.folder(key).rename(grave)

    def _set_aside(self, key: PartitionKey) -> None:
        aside = self.lake.root / REPLACED / key.folder
        aside.parent.mkdir(parents=True, exist_ok=True)
        self.lake.folder(key).rename(aside)


def _unreadable(path: Path, what: str, remedy: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(
        "LAKE_PARTITION_UNREADABLE", f"the partition's {what} cannot be read: {reason}", where=str(path), remedy=remedy
    )


def _bytes_or_none(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _known_provenance(folder: Path, bars: pa.Table) -> pa.Table | None:
    """Provenance rows of the bars that the present partition already holds with the same values."""
    try:
        old_bars = partition.bars_frame(pq.ParquetFile(folder / partition.BARS).read(use_threads=False))
        provenance = pq.ParquetFile(folder / partition.PROVENANCE).read(use_threads=False)
    except (OSError, pa.ArrowInvalid):
        return None
    same = old_bars.merge(partition.bars_frame(bars), how="inner")["ts"]
    return provenance.filter(pa.array(provenance["ts"].to_pandas().isin(same)))


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
