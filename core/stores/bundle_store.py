"""Artifact bundles: one signed folder a model version. No file of one is opened before signature and checksums hold."""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from core.errors import InputError
from core.stores.files import disk_errors, sha256_file, write_bytes, write_json
from core.stores.signing import SIGNATURE, SigningKeys, sign_folder, verify_folder

CHECKSUMS: Final = "checksums.json"
PARAMS: Final = "params.yaml"
CONTENT: Final = (
    "config.json",
    "dataset_index.parquet",
    "dataset_index_filtered.json",
    "earlier_verdicts.json",
    "feature_schema.json",
    "leak_certificate.json",
    "metrics.json",
    "model_ai1.pkl",
    "model_ai2.pkl",
    "model_ai3.pkl",
    "oos_predictions.parquet",
    PARAMS,
    "run.json",
)
"""The files of a bundle, beside checksums.json and model.sig."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle. `read` hands out exactly the bytes that were verified."""

    folder: Path
    model_version: str
    params: Mapping[str, Any]
    checksums: Mapping[str, str]

    def read(self, name: str) -> bytes:
        """Bytes of one file. Raises InputError when the file changed since the bundle was verified."""
        return _read_checked(self.folder, name, self.checksums)


def assemble(folder: Path, content: Mapping[str, Path | bytes], keys: SigningKeys) -> None:
    """Write, checksum and sign a bundle beside `folder`, then rename it there: a reader sees all of it or none.

    A bundle that is there already stays when it verifies and holds the same content; a version is never rewritten.

    Args:
        folder: models_root/{model_version}.
        content: by name, the bytes or the file to copy; exactly the names of CONTENT.
        keys: the signing key pair.

    Raises:
        InputError: a file is missing, no key is there, or another content already has this version.
        TransientError: the disk refused a write.
    """
    if set(content) != set(CONTENT):
        raise ValueError(f"a bundle holds {CONTENT}, not {sorted(content)}")
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        unfinished.chmod(0o755)
        for name, source in content.items():
            write_bytes(unfinished / name, source if isinstance(source, bytes) else _read_source(source))
        write_json(unfinished / CHECKSUMS, {name: sha256_file(unfinished / name) for name in sorted(content)})
        sign_folder(unfinished, keys)
        verify(unfinished, keys.public_key)
        settle(unfinished, folder, keys.public_key)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def settle(unfinished: Path, folder: Path, public_key: Path) -> None:
    """Rename a verified bundle to its place. One that is there already stays if it verifies and holds the same content.

    Raises InputError when another content has the place.
    """
    try:
        with disk_errors(folder):
            unfinished.rename(folder)
    except OSError as error:
        if not folder.is_dir():
            raise
        verify(folder, public_key)
        if (folder / CHECKSUMS).read_bytes() != (unfinished / CHECKSUMS).read_bytes():
            raise InputError(
                "BUNDLE_VERSION_CONFLICT",
                "another content has been published under this version",
                where=str(folder),
                remedy="a version is published once; run the chain on new data, code or configuration",
            ) from error


def verify(folder: Path, public_key: Path) -> None:
    """Check signature, set of files and checksums; nothing is parsed but signature and checksums.

    Raises:
        InputError: BUNDLE_… with the reason; BUNDLE_RELEASE_OTHER for one that is whole and signed, but holds other
            files than a bundle of this release.
    """
    if not folder.is_dir():
        raise InputError(
            "BUNDLE_FOLDER_MISSING",
            "there is no such bundle",
            where=str(folder),
            remedy="list the versions with `python -m tasks registry list`, or publish the version again",
        )
    present = {path.name: path for path in folder.iterdir()}
    foreign = sorted(name for name, path in present.items() if not stat.S_ISREG(path.lstat().st_mode))
    if foreign:
        raise _refused(folder, f"these are no plain files: {', '.join(foreign)}")
    verify_folder(folder, public_key)
    listed = _read_checksums(folder)
    if set(present) != {*listed, CHECKSUMS, SIGNATURE}:
        wrong = sorted(set(present) ^ {*listed, CHECKSUMS, SIGNATURE})
        raise _refused(folder, f"its files are not those checksums.json lists: {', '.join(wrong)}")
    if set(listed) != set(CONTENT):
        raise _of_another_release(folder, set(listed))
    for name in CONTENT:
        _read_checked(folder, name, listed)


def open_bundle(folder: Path, public_key: Path) -> Bundle:
    """Verify a bundle, then open it.

    Raises:
        InputError: it does not verify, or it belongs to another version than the folder's name says.
    """
    verify(folder, public_key)
    checksums = _read_checksums(folder)
    params = yaml.safe_load(_read_checked(folder, PARAMS, checksums))
    if params["model_version"] != folder.name:
        raise _refused(folder, f"it is the bundle of version {params['model_version']}")
    return Bundle(folder, folder.name, params, checksums)


def remove(folder: Path) -> None:
    """Delete a bundle: renamed out of sight first, so that no reader meets half of it. Harmless when it is gone."""
    trash = folder.with_name(f".{folder.name}.removed")
    with disk_errors(folder):
        shutil.rmtree(trash, ignore_errors=True)
        if folder.is_dir():
            folder.rename(trash)
            shutil.rmtree(trash)


def remove_unfinished(root: Path) -> None:
    """Delete what killed processes left behind. Call it only while holding the root's lock."""
    for path in root.glob(".*_*_*.*"):
        if path.is_dir():
            shutil.rmtree(path)


def _read_source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "BUNDLE_SOURCE_MISSING",
            "a file of the bundle has not been made",
            where=str(path),
            remedy="run the run's earlier tasks again",
        ) from error


def _read_checksums(folder: Path) -> dict[str, str]:
    content = orjson.loads((folder / CHECKSUMS).read_bytes())
    return {str(name): str(digest) for name, digest in content.items()}


def _read_checked(folder: Path, name: str, checksums: Mapping[str, str]) -> bytes:
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != checksums[name]:
        raise _refused(folder, f"{name} is not what checksums.json says")
    return content


def _refused(folder: Path, why: str) -> InputError:
    return InputError(
        "BUNDLE_CONTENT_REFUSED",
        f"the bundle is refused: {why}",
        where=str(folder),
        remedy="publish the version again from its run, and find out who changed the folder",
    )


def _of_another_release(folder: Path, held: set[str]) -> InputError:
    differences = [
        f"{word} {', '.join(sorted(names))}"
        for word, names in (("without", set(CONTENT) - held), ("with", held - set(CONTENT)))
        if names
    ]
    return InputError(
        "BUNDLE_RELEASE_OTHER",
        f"the bundle is whole and signed, but holds the files of another release: {' and '.join(differences)}",
        where=str(folder),
        remedy="nobody touched it: read it with the release that published it, or run the chain for a model of this",
    )
