"""Which working tree an image was built from."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Final

from compose.stack import REPOSITORY
from core.stores.code_version import code_hash

SOURCES: Final = ("core", "tasks", "dags", "images", "observability", "requirements", ".dockerignore")
"""What images are made of."""


def revision(repository: Path = REPOSITORY) -> str:
    """The commit; with changes of SOURCES that are not committed, followed by `+` and a hash of those sources.

    Raises InputError where there is no git history; a tree that only a file CODE_HASH names is taken by its word.
    """
    commit = code_hash(repository).partition("+")[0]
    if not (repository / ".git").exists() or not _git(repository, "status", "--porcelain", "--", *SOURCES):
        return commit
    digest = hashlib.sha256()
    listed = _git(repository, "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES)
    for name in sorted(set(listed.splitlines())):
        path = repository / name
        digest.update(f"{name}\0".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return f"{commit}+{digest.hexdigest()[:12]}"


def _git(repository: Path, *words: str) -> str:
    command = ["git", "-c", f"safe.directory={repository}", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - fixed words
