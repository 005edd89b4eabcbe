"""Secrets are made once, in files nobody else gets to, and what is derived from them follows them."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from pathlib import Path

import pytest

from compose.secrets_folder import GIVEN, USERS, make_secrets
from core.errors import InputError

MADE = (
    "postgres_superuser",
    "postgres_airflow",
    "postgres_core",
    "redis_health",
    "redis_core",
    "redis_celery",
    "airflow_api_secret",
    "airflow_jwt_secret",
    "airflow_fernet_key",
    *USERS,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "home" / "secrets"
    make_secrets(made)
    return made


def _contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_the_folder_is_its_owners_alone_and_a_containers_user_can_read_the_files(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}


def test_a_folder_that_was_opened_is_closed_again(folder: Path) -> None:
    folder.chmod(0o755)
    make_secrets(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_each_secret_is_long_and_no_two_are_alike(folder: Path, tmp_path: Path) -> None:
    make_secrets(tmp_path / "other")
    made = [each[name] for each in (_contents(folder), _contents(tmp_path / "other")) for name in MADE]
    assert min(map(len, made)) >= 32
    assert len(set(made)) == 2 * len(MADE)
    assert len(base64.urlsafe_b64decode(_contents(folder)["airflow_fernet_key"])) == 32


def test_what_is_there_is_kept(folder: Path) -> None:
    (folder / "slack_webhook_url").write_text("https://hooks.slack.invalid/services/T/B/X")
    before = _contents(folder)
    make_secrets(folder)
    assert _contents(folder) == before


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("content", ["", "hunter22", " " * 40, "elevenchars"])
def test_an_empty_or_short_secret_is_refused_by_name(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(InputError) as refused:
        make_secrets(folder)
    assert refused.value.code == "COMPOSE_SECRET_SHORT"
    assert refused.value.where == str(folder / name)
    assert content.strip() == "" or content not in str(refused.value)
    assert (folder / name).read_text() == content


def test_the_secrets_of_others_are_empty_until_someone_puts_them_there(folder: Path) -> None:
    assert {name: _contents(folder)[name] for name in GIVEN} == dict.fromkeys(GIVEN, "")


def test_addresses_are_made_of_the_secrets_and_follow_them(folder: Path) -> None:
    (folder / "postgres_core").write_text("another-password\n")
    make_secrets(folder)
    held = {name: content.strip() for name, content in _contents(folder).items()}
    assert held["postgres_url"] == "postgresql://core:another-password@postgres:5432/core"
    airflow = f"postgresql+psycopg2://airflow:{held['postgres_airflow']}@postgres:5432/airflow"
    assert held["airflow_database_url"] == airflow
    assert held["celery_result_backend"] == f"db+{airflow}"
    assert held["redis_url"] == f"redis://core:{held['redis_core']}@redis:6379/0"
    assert held["celery_broker_url"] == f"redis://celery:{held['redis_celery']}@redis:6379/1"


def test_redis_has_no_default_user_and_is_told_no_password(folder: Path) -> None:
    held = _contents(folder)
    lines = held["redis_acl"].splitlines()
    assert lines[0] == "user default off"
    assert [line.split()[1] for line in lines[1:]] == ["health", "core", "celery"]
    for line in lines[1:]:
        user = line.split()[1]
        assert f"#{hashlib.sha256(held[f'redis_{user}'].encode()).hexdigest()}" in line
        assert held[f"redis_{user}"] not in held["redis_acl"]
    assert not re.search(r"nopass|(^| )>|\+@all(?! -@admin -@dangerous)", held["redis_acl"])
