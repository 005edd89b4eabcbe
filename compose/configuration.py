"""The configuration a stack runs with: a whole tree, copied below the stack's folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template
from typing import Final

from compose.stack import REPOSITORY, Stack
from core.errors import InputError

OWN_TREE: Final = REPOSITORY / "configs"
CONTAINER_ENVIRONMENT: Final = REPOSITORY / "images" / "compose" / "environment.yaml"
"""`envs/dev/environment.yaml` where tasks are containers of this stack; $STACK stands for its name."""
_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644
_LAPTOP: Final = Path("envs", "dev")
_ENVIRONMENT: Final = "environment.yaml"


def lay_configuration(stack: Stack, tree: Path) -> None:
    """Copy `tree` into the stack's folder. What dev says for a laptop gives way to the stack; any other file is kept.

    The environment becomes that of containers. With s3 the store is not local, and with workers a task has parts, as in
    base.

    Raises:
        InputError: the tree has no base/.
    """
    if not (tree / "base").is_dir():
        raise InputError(
            "COMPOSE_CONFIG_ABSENT",
            "there is no configuration tree",
            where=str(tree),
            remedy="name a folder with base/ and envs/: make up CONFIG=<folder>",
        )
    shutil.rmtree(stack.configuration, ignore_errors=True)
    shutil.copytree(tree, stack.configuration)
    for path in (stack.configuration, *stack.configuration.rglob("*")):  # whoever's umask: another user's tasks read it
        path.chmod(path.stat().st_mode | (_FOLDER_MODE if path.is_dir() else _FILE_MODE))
    if _is_laptops(tree, _ENVIRONMENT):
        text = Template(CONTAINER_ENVIRONMENT.read_text(encoding="utf-8")).substitute(STACK=stack.name)
        (stack.configuration / _LAPTOP / _ENVIRONMENT).write_text(text, encoding="utf-8")
    for name, given_up in (("ml_core_storage.yaml", stack.storage == "s3"), ("retrain_policy.yaml", stack.scale)):
        if given_up and _is_laptops(tree, name):
            (stack.configuration / _LAPTOP / name).unlink()


def _is_laptops(tree: Path, name: str) -> bool:
    given = tree / _LAPTOP / name
    return given.is_file() and given.read_bytes() == (OWN_TREE / _LAPTOP / name).read_bytes()
