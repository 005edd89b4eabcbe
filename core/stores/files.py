"""Writing a file so that a reader sees all of it or none, and hashing it."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from core.errors import InputError, TransientError


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a full or failing disk into a TransientError that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES}:
            raise TransientError(
                "STORE_DISK_WRITE",
                f"the file could not be written: {error.strerror}",
                where=str(target),
                remedy="free disk space or mend the folder's permissions, then run the same command again",
            ) from error
        raise


@contextmanager
def _path_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise InputError(
            "STORE_PATH_UNUSABLE",
            f"no file can be written there: {error.strerror}",
            where=str(target),
            remedy="name a file in a folder",
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write atomically: a temporary file beside the target, flushed to disk, then renamed.

    Raises:
        TransientError: the disk is full or fails.
        InputError: the target is a folder, or lies below a file.
    """
    with disk_errors(path), _path_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_json(path: Path, content: Any) -> None:
    """Write `json_bytes` atomically."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """JSON with sorted keys and two-space indents; NaN becomes null."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(content, option=options)


def read_json(path: Path) -> Any:
    """Read a JSON file of ours. Raises InputError where it is absent or unreadable."""
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            "STORE_FILE_MISSING",
            f"{path.name} is not there",
            where=str(path),
            remedy="run the task that writes it first, or check the run id and model version",
        ) from error
    except orjson.JSONDecodeError as error:
        raise InputError(
            "STORE_FILE_UNREADABLE",
            f"{path.name} is not JSON: {error}",
            where=str(path),
            remedy="delete the file and run the task that writes it again",
        ) from error


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(content: Any) -> str:
    """Hex SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(content: Any) -> bytes:
    """JSON with sorted keys and no blanks: equal values give equal bytes."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
