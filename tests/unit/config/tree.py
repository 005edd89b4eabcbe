"""A copy of the product's configuration that a test may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

CONFIGS = Path(__file__).parents[3] / "configs"


def copy_tree(folder: Path) -> Path:
    return Path(shutil.copytree(CONFIGS, folder / "configs"))


def read_values(root: Path, file: str) -> dict[str, Any]:
    content = yaml.safe_load((root / "base" / file).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def change(root: Path, file: str, key: str, value: object) -> None:
    """Set the dotted `key` below a top-level entry's `value`."""
    content = read_values(root, file)
    first, *rest = key.split(".")
    node: Any = content[first]
    path = ["value", *rest]
    for part in path[:-1]:
        node = node[int(part) if isinstance(node, list) else part]
    last: Any = int(path[-1]) if isinstance(node, list) else path[-1]
    node[last] = value
    write(root, file, content)


def write(root: Path, file: str, content: object) -> None:
    (root / "base" / file).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
