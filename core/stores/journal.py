"""The outbox of a process: a signal is on its disk before it is sent, and sent until Redis has it (SPEC SRV-5)."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import TransientError
from core.signals.signal import Signal
from core.stores.bus import Bus
from core.stores.files import disk_errors

_SCHEMA = """
CREATE TABLE IF NOT EXISTS signals (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    valid_until INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'expired')),
    body BLOB NOT NULL
) STRICT
"""


class Journal:
    """Signals in a SQLite file (WAL, synchronous FULL). Raises TransientError where the disk does not take them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30.0)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)

    def write(self, signal: Signal) -> bool:
        """Keep a signal as pending. Returns False when one of this id is there: the first stays as it is."""
        until = int(signal.valid_until.timestamp())
        query = "INSERT INTO signals (id, valid_until, state, body) VALUES (?, ?, 'pending', ?) ON CONFLICT DO NOTHING"
        with self._errors():
            return self._connection.execute(query, (signal.id, until, signal.to_json())).rowcount == 1

    def deliver(self, bus: Bus, as_of: datetime.datetime) -> list[str]:
        """Send what is pending, oldest first, and mark each as sent once Redis has it.

        A process killed in between sends it again; Redis recognises the repeat. What is past its `valid_until` at
        `as_of` is marked expired and never sent.

        Returns:
            Ids now known to be in Redis by this call.
        """
        delivered: list[str] = []
        for identity, until, body in self._pending():
            if until < as_of.timestamp():
                self._mark(identity, "expired")
                continue
            bus.publish_signal(Signal.from_json(body))
            self._mark(identity, "sent")
            delivered.append(identity)
        return delivered

    def state(self, identity: str) -> str | None:
        """pending, sent or expired; None for a signal it never saw."""
        with self._errors():
            row = self._connection.execute("SELECT state FROM signals WHERE id = ?", (identity,)).fetchone()
        return str(row[0]) if row is not None else None

    def body(self, identity: str) -> bytes | None:
        """A signal as it was written; None for one it never saw."""
        with self._errors():
            row = self._connection.execute("SELECT body FROM signals WHERE id = ?", (identity,)).fetchone()
        return bytes(row[0]) if row is not None else None

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pending(self) -> list[tuple[str, int, bytes]]:
        query = "SELECT id, valid_until, body FROM signals WHERE state = 'pending' ORDER BY sequence"
        with self._errors():
            return self._connection.execute(query).fetchall()

    def _mark(self, identity: str, state: str) -> None:
        with self._errors():
            self._connection.execute("UPDATE signals SET state = ? WHERE id = ?", (state, identity))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise TransientError(
                "JOURNAL_DISK_WRITE",
                f"the signal journal cannot be used: {error}",
                where=str(self._path),
                remedy="free disk space or end the process that locks the file, then run the same command again",
            ) from error
