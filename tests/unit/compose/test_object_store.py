"""What a stack over an object store needs and runs with."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose.configuration import OWN_TREE, lay_configuration
from compose.secrets_folder import STORE, make_secrets, require_store
from compose.stack import Ports, Stack, Storage
from core.config.loader import load_settings
from core.errors import InputError
from tests.fixtures.config_tree import copy_tree


def stack(home: Path, *, scale: bool = False, storage: Storage = "local") -> Stack:
    return Stack.named("own", home, Ports(1, 2, 3, 4), environment=None, scale=scale, metrics=False, storage=storage)


def test_each_missing_part_of_the_address_is_named(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    (tmp_path / "s3_bucket").write_text("models\n")
    with pytest.raises(InputError, match="s3_endpoint_url, s3_access_key_id, s3_secret_access_key"):
        require_store(tmp_path)
    for name in STORE:
        (tmp_path / name).write_text("given")
    require_store(tmp_path)
    make_secrets(tmp_path)
    assert {(tmp_path / name).read_text() for name in STORE} == {"given"}


def test_compose_is_told_address_and_bucket_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compose.stack._group", lambda socket: 0)
    own = stack(tmp_path, storage="s3")
    make_secrets(own.secrets)
    for name in STORE:
        (own.secrets / name).write_text(f"the {name}")
    variables = own.variables()
    assert (variables["S3_ENDPOINT_URL"], variables["S3_BUCKET"]) == ("the s3_endpoint_url", "the s3_bucket")
    assert not [name for name, value in variables.items() if value in {f"the {each}" for each in STORE[2:]}]
    assert variables["STORAGE_BACKEND"] == "s3"


@pytest.mark.parametrize(
    ("scale", "storage", "shards", "backend"),
    [
        (False, "local", 1, "local"),
        (True, "local", 2, "local"),
        (False, "s3", 1, "variable"),
        (True, "s3", 2, "variable"),
    ],
)
def test_what_dev_says_for_a_laptop_gives_way(
    tmp_path: Path, scale: bool, storage: Storage, shards: int, backend: str
) -> None:
    own = stack(tmp_path, scale=scale, storage=storage)
    lay_configuration(own, OWN_TREE)
    settings = load_settings(own.configuration, "dev")
    assert settings.retrain_policy.shards == shards
    assert settings.ml_core_storage.backend == backend
    assert settings.environment.docker.volumes.keys == "own-keys"


def test_what_somebody_wrote_is_kept(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    (tree / "envs" / "dev" / "retrain_policy.yaml").write_text("shards: { value: 5 }\n")
    own = stack(tmp_path, scale=True)
    lay_configuration(own, tree)
    assert load_settings(own.configuration, "dev").retrain_policy.shards == 5
