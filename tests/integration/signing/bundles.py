"""Bundles for tests."""

from __future__ import annotations

from pathlib import Path

import yaml

from core.stores.bundle_store import CONTENT, PARAMS, assemble
from core.stores.signing import SigningKeys, make_keys

VERSION = "20240101_0000_0000abcd"


def make_pair(folder: Path) -> SigningKeys:
    keys = SigningKeys(folder / "keys" / "signing.pem", folder / "keys" / "signing.pub")
    make_keys(keys)
    return keys


def bundle_content(version: str = VERSION, **changes: bytes) -> dict[str, Path | bytes]:
    content: dict[str, Path | bytes] = {name: f"{name} of {version}".encode() for name in CONTENT}
    content[PARAMS] = yaml.safe_dump({"model_version": version, "theta1": 0.7, "theta2": 0.3}).encode()
    return {**content, **{name.replace("__", "."): value for name, value in changes.items()}}


def make_bundle(root: Path, keys: SigningKeys, version: str = VERSION) -> Path:
    folder = root / version
    assemble(folder, bundle_content(version), keys)
    return folder
