"""The secrets of a stack: made once, each in a file of its own, never printed and never written anywhere else."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core.errors import InputError

STORE_ADDRESS: Final = ("s3_endpoint_url", "s3_bucket")
STORE: Final = (*STORE_ADDRESS, "s3_access_key_id", "s3_secret_access_key")
"""What names the object store, and what opens it."""
GIVEN: Final = ("twelvedata_api_key", "slack_webhook_url", "pagerduty_integration_key", *STORE)
"""Secrets of other parties: an operator puts them there. Until then the file is empty, and what needs it refuses."""
USERS: Final = ("airflow_admin", "airflow_operator", "airflow_approver", "airflow_viewer", "grafana_admin")
"""Passwords of people."""
_SHORTEST: Final = 12
_REDIS_RULES: Final = {
    "health": "+ping",
    "core": "~core:* &core:* +@all -@admin -@dangerous +info",
    "celery": "~default* ~celery* ~_kombu* ~unacked* ~*.pidbox* ~*.reply.* &* +@all -@admin -@dangerous +info",
}


def make_secrets(folder: Path) -> None:
    """Write what is missing; what is there is kept.

    The folder is its owner's alone. The files in it can be read by anyone who gets that far, for a container's user has
    another number than the owner.

    Raises:
        InputError: a file that must hold a secret holds less than 12 characters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(stat.S_IRWXU)
    for name in ("postgres_superuser", "postgres_airflow", "postgres_core", "airflow_api_secret", *USERS):
        _keep(folder / name, secrets.token_urlsafe(24))
    _keep(folder / "airflow_jwt_secret", secrets.token_hex(32))
    _keep(folder / "airflow_fernet_key", base64.urlsafe_b64encode(os.urandom(32)).decode())
    passwords = {user: secrets.token_urlsafe(24) for user in _REDIS_RULES}
    for user, password in passwords.items():
        _keep(folder / f"redis_{user}", password)
        passwords[user] = _read(folder / f"redis_{user}")
    airflow, core = (_read(folder / f"postgres_{user}") for user in ("airflow", "core"))
    derived = {
        "redis_acl": _access_list(passwords),
        "redis_url": f"redis://core:{passwords['core']}@redis:6379/0",
        "celery_broker_url": f"redis://celery:{passwords['celery']}@redis:6379/1",
        "postgres_url": f"postgresql://core:{core}@postgres:5432/core",
        "airflow_database_url": f"postgresql+psycopg2://airflow:{airflow}@postgres:5432/airflow",
        "celery_result_backend": f"db+postgresql+psycopg2://airflow:{airflow}@postgres:5432/airflow",
    }
    for name, content in derived.items():
        _write(folder / name, content)
    for name in GIVEN:
        if not (folder / name).exists():
            _write(folder / name, "")


def read_given(folder: Path, name: str) -> str:
    """What an operator put there; empty where nobody has."""
    path = folder / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def require_store(folder: Path) -> None:
    """Raise InputError naming each file of STORE that is empty."""
    if empty := [name for name in STORE if not read_given(folder, name)]:
        raise InputError(
            "COMPOSE_STORE_ABSENT",
            f"the object store is not named: {', '.join(empty)}",
            where=str(folder),
            remedy="write each into its file of that name; docs/storage.md says what they are",
        )


def _access_list(passwords: Mapping[str, str]) -> str:
    """Redis users: the default one is off, each other has what it needs."""
    lines = ["user default off"]
    for user, rules in _REDIS_RULES.items():
        digest = hashlib.sha256(passwords[user].encode()).hexdigest()
        lines.append(f"user {user} on #{digest} {rules}")
    return "\n".join(lines)


def _keep(path: Path, made: str) -> None:
    if not path.exists():
        _write(path, made)
    _read(path)


def _read(path: Path) -> str:
    content = path.read_text(encoding="utf-8").strip()
    if len(content) < _SHORTEST:
        raise InputError(
            "COMPOSE_SECRET_SHORT",
            f"a secret of at least {_SHORTEST} characters is needed",
            where=str(path),
            remedy="delete the file, and the next start makes one",
        )
    return content


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(content, encoding="utf-8")
    temporary.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
    temporary.replace(path)
