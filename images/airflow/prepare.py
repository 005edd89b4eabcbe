"""Brings Airflow's database to its newest revision, and makes the roles, users and pools the configuration asks for.

Harmless when all of it is there. Passwords come from the files the secrets folder holds, one a user: `airflow_USER`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from airflow.models.pool import Pool
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.providers.fab.www.security import permissions
from airflow.utils.db import initdb

from core.config.environment import Environment
from core.config.environment_variables import read_service_environment
from core.config.loader import load_settings

APPROVAL: Final = (permissions.ACTION_CAN_EDIT, permissions.RESOURCE_HITL_DETAIL)
ANSWER: Final = (permissions.ACTION_CAN_EDIT, permissions.resource_name("core_publish_flow", permissions.RESOURCE_DAG))
"""An answer is a change of the flow's run, so that whoever gives one may change this flow; no other."""
FORGING: Final = {
    (action, permissions.RESOURCE_XCOM)
    for action in (permissions.ACTION_CAN_CREATE, permissions.ACTION_CAN_EDIT, permissions.ACTION_CAN_DELETE)
}
"""Who writes what a task handed on could write the approver's answer."""
USERS: Final = {"admin": "Admin", "operator": "Operator", "approver": "Approver", "viewer": "Viewer"}
"""User → role. Operators run the flows, approvers answer what production asks; nobody but an admin does both."""


def main() -> None:
    """Database, pools, roles and users."""
    environment = load_settings(Path(os.environ["CONFIG_ROOT"]), read_service_environment(os.environ)).environment
    _require_own_names(environment)
    passwords = {user: _password(user) for user in USERS}
    initdb()
    for _, pool in environment.pools:
        Pool.create_or_update_pool(pool.name, pool.slots, "environment.yaml, pools", include_deferred=False)
    with get_application_builder() as builder:
        security = builder.sm
        permitted = {each["role"]: set(each["perms"]) for each in security.ROLE_CONFIGS}
        security.sync_roles()
        menu = permissions.ACTION_CAN_ACCESS_MENU, permissions.RESOURCE_HITL_DETAIL
        security.bulk_sync_roles(
            [
                {"role": "Operator", "perms": sorted(permitted["Op"] - {APPROVAL} - FORGING)},
                {"role": "Approver", "perms": sorted(permitted["Viewer"] | {APPROVAL, ANSWER, menu})},
            ]
        )
        for name, role in USERS.items():
            user = security.find_user(username=name)
            if user is None:
                address = f"{name}@ml-assets-core.invalid"
                security.add_user(name, name, role, address, security.find_role(role), password=passwords[name])
            else:
                security.reset_password(user.id, passwords[name])


def _require_own_names(environment: Environment) -> None:
    """Tasks run as containers of this stack, on its network: another stack's volumes would be taken silently."""
    stack = os.environ["AIRFLOW__API__INSTANCE_NAME"]
    if environment.runner == "process":
        sys.exit("environment.yaml: runner is process, and no process of a task can run here: make it docker")
    if environment.runner == "docker":
        docker = environment.docker
        named = {"network": docker.network, **{f"volumes.{kind}": name for kind, name in docker.volumes}}
        own = {"network": stack, **{f"volumes.{kind}": f"{stack}-{kind}" for kind, _ in docker.volumes}}
        if foreign := [f"docker.{key} is {named[key]}, not {own[key]}" for key in own if named[key] != own[key]]:
            sys.exit(f"environment.yaml names what belongs to another stack than {stack}: {'; '.join(foreign)}")


def _password(user: str) -> str:
    path = Path(os.environ["SECRETS_FOLDER"]) / f"airflow_{user}"
    password = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if len(password) < 12:
        sys.exit(f"{path} holds no password of 12 characters or more: `make up` makes one")
    return password


if __name__ == "__main__":
    main()
