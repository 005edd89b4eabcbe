"""Installs what a command needs into .venv: `python3.11 laptop/bootstrap.py GROUP`. Standard library only.

uv is installed by pip from requirements/bootstrap.txt, everything else by uv from requirements/GROUP.txt; both are
pinned and hashed. A stamp of those files says whether .venv is up to date, so a second call does nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
VENV: Final = REPOSITORY / ".venv"
REQUIREMENTS: Final = REPOSITORY / "requirements"
GROUPS: Final = ("laptop", "dev", "bench")
"""Each holds the one before it."""


def main(group: str) -> None:
    """Bring .venv up to date for `group` (laptop, dev or bench; or `uv` for the installer alone)."""
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"Python 3.11 is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11")
    if group != "uv" and any(_stamp(wider) == _wanted(wider) for wider in GROUPS[GROUPS.index(group) :]):
        return
    _make_venv()
    _install_uv()
    if group == "uv":
        return
    _say(f"Installing the packages of requirements/{group}.txt into .venv (a minute or two the first time) …")
    for name in GROUPS:
        _stamp_file(name).unlink(missing_ok=True)
    command = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    python = ["--python", str(VENV / "bin" / "python")]
    _run([*command, *python, "--requirements", str(REQUIREMENTS / f"{group}.txt")])
    _stamp_file(group).write_text(_wanted(group), encoding="utf-8")


def _make_venv() -> None:
    python = VENV / "bin" / "python"
    if python.exists() and _runs([str(python), "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 11))"]):
        return
    _say("Making .venv …")
    shutil.rmtree(VENV, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(VENV)])


def _install_uv() -> None:
    stamp, wanted = VENV / ".installed-uv", _digest("bootstrap")
    if (VENV / "bin" / "uv").exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    python = str(VENV / "bin" / "python")
    if not _runs([python, "-m", "pip", "--version"]):
        _run([python, "-m", "ensurepip"])
    quiet = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
    _run([python, "-m", "pip", "install", *quiet, "--requirement", str(REQUIREMENTS / "bootstrap.txt")])
    stamp.write_text(wanted, encoding="utf-8")


def _stamp_file(group: str) -> Path:
    return VENV / f".installed-{group}"


def _stamp(group: str) -> str | None:
    file = _stamp_file(group)
    return file.read_text(encoding="utf-8") if file.exists() else None


def _wanted(group: str) -> str:
    return f"{_digest('bootstrap')} {_digest(group)}"


def _digest(name: str) -> str:
    file = REQUIREMENTS / f"{name}.txt"
    if not file.exists():
        sys.exit(f"{file} does not exist: make lock writes it")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False, env=_environment()).returncode == 0  # noqa: S603


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, env=_environment())  # noqa: S603 - our own command
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {' '.join(command)}")


def _environment() -> dict[str, str]:
    """Without the caller's own Python settings, which would leak into .venv."""
    left_out = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in {"uv", *GROUPS}:
        sys.exit(f"usage: python3.11 {sys.argv[0]} uv|{'|'.join(GROUPS)}")
    main(sys.argv[1])
