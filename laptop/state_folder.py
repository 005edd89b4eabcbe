"""Where a laptop's run writes: below STATE a folder a market; no two share a lake, a registry or a signal."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from core.errors import InputError

SIMULATED: Final = "simulated"
_LOCK: Final = "lock"


@dataclass(frozen=True)
class Secrets:
    """Made once for a STATE and kept in a file only its owner can read."""

    airflow_password: str
    jwt_secret: str
    api_secret: str


@dataclass(frozen=True)
class StateFolder:
    """Paths of one market's folder below STATE. `root` is absolute."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> Self:
        """The folder `root`, relative to where the caller stands."""
        return cls(root.expanduser().resolve())

    @classmethod
    def of_market(cls, state: Path, data: Path | None, config: Path | None) -> Self:
        """The folder of a market below `state`: `simulated`, or named after the bars; told apart by the given paths."""
        name = SIMULATED if data is None else data.name
        paths = [str(path) for path in (data, config) if path is not None]
        suffix = f"-{hashlib.sha256(os.fsencode(os.pathsep.join(paths))).hexdigest()[:8]}" if paths else ""
        return cls.at(state / f"{name}{suffix}")

    @classmethod
    def all_below(cls, state: Path) -> list[Self]:
        """The folders of all markets run so far, by name."""
        root = state.expanduser().resolve()
        return [cls(path.parent) for path in sorted(root.glob(f"*/{_LOCK}"))]

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def airflow(self) -> Path:
        return self.root / "airflow"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """Starter configuration for bars that came without one."""
        return self.root / "config"

    @property
    def running(self) -> Path:
        """Addresses of the running stack."""
        return self.root / "running.json"

    @property
    def verdict(self) -> Path:
        """The last run's closing JSON object."""
        return self.root / "verdict.json"

    @property
    def lock_file(self) -> Path:
        return self.root / _LOCK

    def create(self) -> None:
        """Make the folder. Raises InputError where it cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            self.archive.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(
                "LAPTOP_STATE_UNUSABLE",
                f"the state folder cannot be written: {error.strerror}",
                where=str(self.root),
                remedy="name a folder you can write to: make run STATE=<folder>",
            ) from error

    def keep_verdict(self, line: str) -> None:
        """Keep how the run ended for `make status`."""
        self.verdict.write_text(f"{line}\n", encoding="utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process. Raises InputError where another run holds it."""
        with self.lock_file.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    "LAPTOP_STATE_LOCKED",
                    f"another run (process {self.holder() or 'unknown'}) uses this state folder",
                    where=str(self.root),
                    remedy="wait for it, end it with `make stop`, or give this run its own folder: STATE=<folder>",
                ) from error
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            yield

    def holder(self) -> int | None:
        """Process id of the run that holds the folder, None where none does."""
        if not self.lock_file.exists():
            return None
        with self.lock_file.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else None
        return None

    def secrets(self) -> Secrets:
        """Read the folder's secrets, making them at the first call."""
        path = self.root / "secrets.json"
        if not path.exists():
            made = Secrets(secrets.token_urlsafe(12), secrets.token_hex(32), secrets.token_hex(32))
            write_private(path, asdict(made))
        return Secrets(**json.loads(path.read_text(encoding="utf-8")))


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that only its owner can read, all of it or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    temporary.replace(path)
