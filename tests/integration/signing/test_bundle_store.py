"""A bundle is whole, signed and untouched, or it is refused before anything of it is used."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import InputError
from core.stores import bundle_store
from core.stores.bundle_store import CHECKSUMS, CONTENT, assemble, open_bundle, remove, remove_unfinished, verify
from core.stores.files import sha256_file
from core.stores.shared_storage import distribute
from core.stores.signing import SIGNATURE, SigningKeys, sign_folder
from tests.integration.signing.bundles import VERSION, bundle_content, make_bundle, make_pair


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return make_pair(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, keys: SigningKeys) -> Path:
    return make_bundle(tmp_path / "models", keys)


class _Canary:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self._path,))


def _alter(folder: Path) -> None:
    (folder / "metrics.json").write_bytes(b"{}")


def _alter_one_byte_of_the_same_length(folder: Path) -> None:
    content = bytearray((folder / "model_ai2.pkl").read_bytes())
    content[0] ^= 1
    (folder / "model_ai2.pkl").write_bytes(content)


def _alter_with_matching_checksums(folder: Path) -> None:
    (folder / "metrics.json").write_bytes(b"{}")
    sums = orjson.loads((folder / CHECKSUMS).read_bytes())
    sums["metrics.json"] = sha256_file(folder / "metrics.json")
    (folder / CHECKSUMS).write_bytes(orjson.dumps(sums))


def _add(folder: Path) -> None:
    (folder / "model_ai4.pkl").write_bytes(b"x")


def _add_hidden(folder: Path) -> None:
    (folder / ".gitignore").write_bytes(b"x")


def _add_folder(folder: Path) -> None:
    (folder / ".git").mkdir()


def _lose(folder: Path) -> None:
    (folder / "model_ai3.pkl").unlink()


def _lose_signature(folder: Path) -> None:
    (folder / SIGNATURE).unlink()


def _lose_checksums(folder: Path) -> None:
    (folder / CHECKSUMS).unlink()


def _damage_signature(folder: Path) -> None:
    (folder / SIGNATURE).write_bytes(b"not a signature")


def _link(folder: Path) -> None:
    (folder / "metrics.json").rename(folder.parent / "elsewhere.json")
    (folder / "metrics.json").symlink_to(folder.parent / "elsewhere.json")


FORGERIES = [
    _alter,
    _alter_one_byte_of_the_same_length,
    _alter_with_matching_checksums,
    _add,
    _add_hidden,
    _add_folder,
    _lose,
    _lose_signature,
    _lose_checksums,
    _damage_signature,
    _link,
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_touched_bundle_is_refused(forge: Callable[[Path], None], folder: Path, keys: SigningKeys) -> None:
    open_bundle(folder, keys.public_key)
    forge(folder)
    for check in (verify, open_bundle):
        with pytest.raises(InputError, match=r"BUNDLE_.*refused"):
            check(folder, keys.public_key)


def test_another_key_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="BUNDLE_SIGNATURE_REFUSED"):
        open_bundle(folder, make_pair(tmp_path / "other").public_key)


def test_a_signature_by_another_key_that_claims_to_be_ours_is_refused(
    tmp_path: Path, folder: Path, keys: SigningKeys
) -> None:
    hint = orjson.loads((folder / SIGNATURE).read_bytes())["verificationMaterial"]
    foreign = make_bundle(tmp_path / "foreign", make_pair(tmp_path / "other"))
    signature = orjson.loads((foreign / SIGNATURE).read_bytes())
    signature["verificationMaterial"] = hint
    (folder / SIGNATURE).write_bytes(orjson.dumps(signature))
    with pytest.raises(InputError, match="not made with this key"):
        open_bundle(folder, keys.public_key)


def test_a_signed_bundle_of_another_version_is_refused(folder: Path, keys: SigningKeys) -> None:
    moved = folder.rename(folder.with_name("20250101_0000_0000abcd"))
    with pytest.raises(InputError, match=f"bundle of version {VERSION}"):
        open_bundle(moved, keys.public_key)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([name for name in CONTENT if name != "leak_certificate.json"], "without leak_certificate.json"),
        ([*CONTENT, "model_ai4.pkl"], "with model_ai4.pkl"),
        ([*CONTENT[1:], "model_ai4.pkl"], f"without {CONTENT[0]} and with model_ai4.pkl"),
    ],
)
def test_a_whole_bundle_of_another_release_is_told_from_a_touched_one(
    tmp_path: Path, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch, names: list[str], told: str
) -> None:
    content = {name: bundle_content().get(name, b"x") for name in names}
    with monkeypatch.context() as patch:
        patch.setattr(bundle_store, "CONTENT", tuple(names))
        folder = tmp_path / "models" / VERSION
        assemble(folder, content, keys)
    with pytest.raises(InputError, match=rf"BUNDLE_RELEASE_OTHER.*{told} ") as raised:
        open_bundle(folder, keys.public_key)
    assert "nobody touched it" in raised.value.remedy
    _alter(folder)
    with pytest.raises(InputError, match=r"BUNDLE_SIGNATURE_REFUSED"):
        open_bundle(folder, keys.public_key)


def test_a_signed_folder_that_holds_more_than_its_checksums_list_is_refused(folder: Path, keys: SigningKeys) -> None:
    _add(folder)
    sign_folder(folder, keys)
    with pytest.raises(InputError, match=r"BUNDLE_CONTENT_REFUSED.*model_ai4\.pkl"):
        verify(folder, keys.public_key)


def test_nothing_is_unpickled_from_a_forged_bundle(tmp_path: Path, folder: Path, keys: SigningKeys) -> None:
    canary = tmp_path / "canary"
    for name in ("model_ai1.pkl", "model_ai2.pkl", "model_ai3.pkl"):
        (folder / name).write_bytes(pickle.dumps(_Canary(canary)))
    with pytest.raises(InputError, match="refused"):
        pickle.loads(open_bundle(folder, keys.public_key).read("model_ai1.pkl"))
    assert not canary.exists()
    pickle.loads((folder / "model_ai1.pkl").read_bytes())
    assert canary.exists()


def test_a_file_swapped_after_the_check_is_refused(folder: Path, keys: SigningKeys) -> None:
    bundle = open_bundle(folder, keys.public_key)
    assert bundle.read("model_ai1.pkl") == f"model_ai1.pkl of {VERSION}".encode()
    (folder / "model_ai1.pkl").write_bytes(b"another")
    with pytest.raises(InputError, match=r"model_ai1\.pkl is not what checksums\.json says"):
        bundle.read("model_ai1.pkl")


def test_checksums_list_every_file_and_are_the_same_every_time(tmp_path: Path, keys: SigningKeys, folder: Path) -> None:
    again = make_bundle(tmp_path / "again", keys)
    assert (again / CHECKSUMS).read_bytes() == (folder / CHECKSUMS).read_bytes()
    assert orjson.loads((folder / CHECKSUMS).read_bytes()) == {name: sha256_file(folder / name) for name in CONTENT}


def test_a_version_is_published_once(folder: Path, keys: SigningKeys) -> None:
    before = (folder / SIGNATURE).read_bytes()
    assemble(folder, bundle_content(), keys)
    assert (folder / SIGNATURE).read_bytes() == before
    with pytest.raises(InputError, match="BUNDLE_VERSION_CONFLICT"):
        assemble(folder, bundle_content(metrics__json=b"{}"), keys)
    assert [path.name for path in folder.parent.iterdir()] == [VERSION]


def test_the_same_version_assembled_twice_at_once_is_one_bundle(tmp_path: Path, keys: SigningKeys) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: make_bundle(tmp_path / "models", keys), range(4)))
    assert [path.name for path in (tmp_path / "models").iterdir()] == [VERSION]


def test_a_missing_source_leaves_nothing_behind(tmp_path: Path, keys: SigningKeys) -> None:
    content = {**bundle_content(), "model_ai3.pkl": tmp_path / "absent.pkl"}
    with pytest.raises(InputError, match="BUNDLE_SOURCE_MISSING"):
        assemble(tmp_path / "models" / VERSION, content, keys)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path / "absent.pem", tmp_path / "absent.pub")
    with pytest.raises(InputError, match=r"SIGNING_KEY_MISSING.*absent\.pem"):
        assemble(tmp_path / VERSION, bundle_content(), keys)


def test_an_unusable_key_is_named(tmp_path: Path, folder: Path, keys: SigningKeys) -> None:
    keys.public_key.write_text("no key")
    with pytest.raises(InputError, match=r"SIGNING_KEY_UNUSABLE.*signing\.pub"):
        verify(folder, keys.public_key)


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path, keys: SigningKeys) -> None:
    with pytest.raises(InputError, match="BUNDLE_FOLDER_MISSING"):
        open_bundle(tmp_path / VERSION, keys.public_key)


def test_distribution_copies_verifies_and_repairs(tmp_path: Path, folder: Path, keys: SigningKeys) -> None:
    shared = tmp_path / "shared"
    copy = distribute(folder, shared, keys.public_key)
    assert open_bundle(copy, keys.public_key).model_version == VERSION
    inode = (copy / SIGNATURE).stat().st_ino
    distribute(folder, shared, keys.public_key)
    assert (copy / SIGNATURE).stat().st_ino == inode
    (copy / "metrics.json").write_bytes(b"{}")
    distribute(folder, shared, keys.public_key)
    verify(copy, keys.public_key)
    assert [path.name for path in shared.iterdir()] == [VERSION]


def test_a_touched_bundle_is_not_distributed(tmp_path: Path, folder: Path, keys: SigningKeys) -> None:
    _alter(folder)
    with pytest.raises(InputError, match="refused"):
        distribute(folder, tmp_path / "shared", keys.public_key)
    assert not (tmp_path / "shared").exists()


def test_a_copy_that_went_wrong_is_never_seen(
    tmp_path: Path, folder: Path, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "core.stores.shared_storage.write_bytes", lambda path, content: path.write_bytes(content[:-1] or b"?")
    )
    with pytest.raises(InputError, match="refused"):
        distribute(folder, tmp_path / "shared", keys.public_key)
    assert list((tmp_path / "shared").iterdir()) == []


def test_removal_and_the_remains_of_a_killed_process(folder: Path) -> None:
    root = folder.parent
    shutil.copytree(folder, root / f".{VERSION}.abc123")
    (root / ".lock").touch()
    remove_unfinished(root)
    remove(folder)
    remove(folder)
    assert [path.name for path in root.iterdir()] == [".lock"]


def test_content_names_are_exact(tmp_path: Path, keys: SigningKeys) -> None:
    with pytest.raises(ValueError, match="a bundle holds"):
        assemble(tmp_path / VERSION, {"params.yaml": b""}, keys)
    assert bundle_store.PARAMS in CONTENT
