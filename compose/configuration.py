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
_ENVIRONMENT: Final = Path("envs", "dev", "environment.yaml")


def lay_configuration(stack: Stack, tree: Path) -> None:
    """Copy `tree` into the stack's folder. A laptop's dev environment becomes that of containers; any other is kept.

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
    given = tree / _ENVIRONMENT
    if given.is_file() and given.read_bytes() == (OWN_TREE / _ENVIRONMENT).read_bytes():
        text = Template(CONTAINER_ENVIRONMENT.read_text(encoding="utf-8")).substitute(STACK=stack.name)
        (stack.configuration / _ENVIRONMENT).write_text(text, encoding="utf-8")
