"""Distribution of bundles by shared storage (SPEC REG-2): inference processes read published bundles there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from core.errors import InputError
from core.stores.bundle_store import remove, settle, verify
from core.stores.files import disk_errors, write_bytes


def distribute(bundle: Path, shared_root: Path, public_key: Path) -> Path:
    """Copy a bundle to `shared_root/{version}` atomically and verify the copy before it is seen there.

    A copy that is there already and verifies stays; one that does not verify is replaced.

    Raises:
        InputError: the bundle or its copy does not verify.
        TransientError: the disk refused a write.
    """
    verify(bundle, public_key)
    target = shared_root / bundle.name
    if target.is_dir():
        try:
            verify(target, public_key)
        except InputError:
            remove(target)
    with disk_errors(target):
        shared_root.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{bundle.name}.", dir=shared_root))
    try:
        unfinished.chmod(0o755)
        for path in sorted(bundle.iterdir()):
            write_bytes(unfinished / path.name, path.read_bytes())
        verify(unfinished, public_key)
        settle(unfinished, target, public_key)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target
