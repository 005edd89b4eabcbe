"""The key pair on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.config.environment import Signing
from core.errors import InputError
from core.stores.signing import SigningKeys, keys_present, make_keys


def test_the_private_key_is_its_owners_alone(tmp_path: Path) -> None:
    signing = Signing(private_key="keys/signing.pem", public_key="keys/signing.pub")
    keys = SigningKeys.below(tmp_path, signing)
    assert not keys_present(keys)
    make_keys(keys)
    assert keys_present(keys)
    assert stat.S_IMODE(keys.private_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.private_key.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("left", ["private_key", "public_key"])
def test_a_key_is_never_overwritten(tmp_path: Path, left: str) -> None:
    keys = SigningKeys(tmp_path / "signing.pem", tmp_path / "signing.pub")
    path: Path = getattr(keys, left)
    path.write_text("a key")
    with pytest.raises(InputError, match="SIGNING_KEY_EXISTS"):
        make_keys(keys)
    assert path.read_text() == "a key"
