"""Which code runs: the git commit, or the hash baked into the image."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from core.errors import InputError

CODE_FOLDERS = ("core", "tasks")
BAKED = "CODE_HASH"


def code_hash(repository: Path) -> str:
    """The commit's hash; with uncommitted changes below core/ or tasks/, followed by `+` and a hash of those sources.

    An image carries no .git folder but a file CODE_HASH, which then is the answer.

    Raises:
        InputError: neither git history nor CODE_HASH is there.
    """
    baked = repository / BAKED
    if baked.is_file():
        return baked.read_text(encoding="ascii").strip()
    try:
        commit = _git(repository, "rev-parse", "HEAD").strip()
        changed = _git(repository, "status", "--porcelain", "--", *CODE_FOLDERS)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            "CODE_VERSION_UNKNOWN",
            "the code's version cannot be told: there is neither a git commit nor a CODE_HASH file",
            where=str(repository),
            remedy="run from a git checkout, or write the commit's hash to a file CODE_HASH",
        ) from error
    return f"{commit}+{_source_hash(repository)}" if changed else commit


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={repository}", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - fixed words


def _source_hash(repository: Path) -> str:
    digest = hashlib.sha256()
    for folder in CODE_FOLDERS:
        for path in sorted((repository / folder).rglob("*.py")):
            digest.update(str(path.relative_to(repository)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
