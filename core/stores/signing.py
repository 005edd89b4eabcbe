"""Signs and verifies a folder with OpenSSF model-signing and an elliptic-curve key pair (SPEC TRN-3, REG-2)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.config.environment import Signing
from core.errors import InputError
from core.stores.files import disk_errors

SIGNATURE: Final = "model.sig"


@dataclass(frozen=True)
class SigningKeys:
    """Where the key pair lies. Only a publisher needs the private key."""

    private_key: Path
    public_key: Path

    @classmethod
    def below(cls, archive: Path, signing: Signing) -> SigningKeys:
        """The key files `environment.yaml` names, below ARCHIVE_PATH."""
        return cls(archive / signing.private_key, archive / signing.public_key)


def make_keys(keys: SigningKeys) -> None:
    """Make a key pair (P-256, PEM): the private key readable by its owner only.

    Raises:
        InputError: one of the files exists already; a key is never overwritten.
        TransientError: the disk refused the write.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow to import
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    for path in (keys.private_key, keys.public_key):
        if path.exists():
            raise InputError(
                "SIGNING_KEY_EXISTS",
                "a signing key is there already and is not overwritten",
                where=str(path),
                remedy="keep it; to change keys, move both files away first (bundles signed by them no longer verify)",
            )
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write_new(keys.public_key, public, 0o644)
    _write_new(keys.private_key, private, 0o600)


def keys_present(keys: SigningKeys) -> bool:
    """Whether both key files are there."""
    return keys.private_key.is_file() and keys.public_key.is_file()


def sign_folder(folder: Path, keys: SigningKeys) -> None:
    """Sign every file of `folder`; the signature is its file model.sig.

    Raises InputError when the private key is missing or unusable, and TransientError when the disk refuses the write.
    """
    from model_signing import signing  # noqa: PLC0415 - slow to import

    _require(keys.private_key, "private")
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=keys.private_key)
    except (ValueError, TypeError) as error:
        raise _unusable(keys.private_key, error) from error
    with disk_errors(folder / SIGNATURE):
        signer.set_hashing_config(_hashing()).sign(folder, folder / SIGNATURE)


def verify_folder(folder: Path, public_key: Path) -> None:
    """Check that `folder` is exactly what the owner of the key signed: no file altered, added or missing.

    Raises:
        InputError: it is not, the signature is missing, made with another key or damaged, or the key is unusable.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - slow to import
    from model_signing import verifying  # noqa: PLC0415

    _require(public_key, "public")
    if not (folder / SIGNATURE).is_file():
        raise _refused(folder, "it carries no signature")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (ValueError, TypeError) as error:
        raise _unusable(public_key, error) from error
    try:
        verifier.set_hashing_config(_hashing()).verify(folder, folder / SIGNATURE)
    except InvalidSignature as error:
        raise _refused(folder, "its signature was not made with this key") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _refused(folder, " ".join(str(error).split())) from error


def _hashing() -> Any:
    from model_signing import hashing  # noqa: PLC0415 - slow to import

    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _require(path: Path, kind: str) -> None:
    if not path.is_file():
        raise InputError(
            "SIGNING_KEY_MISSING",
            f"the {kind} signing key is not there",
            where=str(path),
            remedy="make a pair with `python -m tasks keys init`, or mount the key where environment.signing says",
        )


def _unusable(path: Path, error: Exception) -> InputError:
    return InputError(
        "SIGNING_KEY_UNUSABLE",
        f"the signing key cannot be used: {error}",
        where=str(path),
        remedy="use an unencrypted PEM key on the curve P-256, P-384 or P-521",
    )


def _refused(folder: Path, why: str) -> InputError:
    return InputError(
        "BUNDLE_SIGNATURE_REFUSED",
        f"the bundle is refused: {why}",
        where=str(folder),
        remedy="publish the version again from its run, and find out who changed the folder",
    )
