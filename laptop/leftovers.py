"""Ends every process of a state folder, whoever started it and whenever."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from laptop.environment import MARKER

TERM_SECONDS: Final = 5.0


def find_processes(state_root: Path) -> list[psutil.Process]:
    """Processes whose environment names the state folder, but this one and its ancestors."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in own and process.environ().get(MARKER) == str(state_root):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue  # gone, or another user's
    return found


def end_processes(state_root: Path) -> int:
    """Ask all of them to stop, then kill what stays; returns how many there were."""
    found = find_processes(state_root)
    for process in found:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(found, timeout=TERM_SECONDS)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=TERM_SECONDS)
    return len(found)


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        return
