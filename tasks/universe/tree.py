"""Writes a configuration tree: the repository's, with another universe."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from core.config.loader import ServiceEnvironment, load_settings
from core.config.pipeline_policy import Timeframe
from core.errors import InputError, TransientError

_TREE: Final = ("base", "envs")
_REPLACED: Final = ("universe.yaml", "cost_table.yaml", "sources.yaml")


def refuse_existing(out: Path, *, force: bool) -> None:
    """Raises InputError when `out` is there and may not be replaced: a folder that is no tree never is."""
    if out.exists() and not force:
        raise InputError(
            "CONFIG_INIT_EXISTS", "the folder exists", where=str(out), remedy="name another --out, or give --force"
        )
    foreign = sorted(path.name for path in out.iterdir() if path.name not in _TREE) if out.is_dir() else []
    if foreign or (out.exists() and not out.is_dir()):
        raise InputError(
            "CONFIG_INIT_FOREIGN",
            f"what is there is no configuration tree{': it holds ' + ', '.join(foreign[:5]) if foreign else ''}",
            where=str(out),
            remedy="name another --out; --force replaces nothing but base/ and envs/",
        )


def write_tree(source: Path, out: Path, files: Mapping[str, str], timeframe: Timeframe, *, force: bool) -> None:
    """Copy `source` (base/ and envs/) to `out` with `files` in base/ instead of its universe, costs and sources.

    No environment keeps an overlay of those three. The tree appears at `out` whole or not at all, and only when every
    environment of it loads.

    Raises:
        InputError: `out` exists and `force` is not given, or it is no configuration tree; a file of the new tree is not
            valid.
        TransientError: the disk refused to write.
    """
    refuse_existing(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
            tree = Path(temporary) / "config"
            for folder in _TREE:
                shutil.copytree(source / folder, tree / folder, ignore=shutil.ignore_patterns(*_REPLACED, ".*"))
            for name, text in files.items():
                (tree / "base" / name).write_text(text, encoding="utf-8")
            _set_timeframe(tree / "base" / "pipeline_policy.yaml", timeframe)
            for environment in get_args(ServiceEnvironment):
                load_settings(tree, environment)
            replaced = Path(temporary) / "replaced"
            if out.exists():
                out.rename(replaced)
            try:
                tree.rename(out)
            except OSError:
                if replaced.exists():
                    replaced.rename(out)
                raise
    except OSError as error:
        raise TransientError(
            "CONFIG_INIT_WRITE", str(error), where=str(out), remedy="free disk space or mend the folder's permissions"
        ) from error


def _set_timeframe(path: Path, timeframe: Timeframe) -> None:
    text = path.read_text(encoding="utf-8")
    for key, value in (
        ("timeframe_default", timeframe),
        ("timeframe_allowed", f"[{timeframe}]"),
        ("freshness_budget_seconds", f"{{ {timeframe}: 120 }}"),
    ):
        text = re.sub(rf"^{key}:.*$", f"{key}: {{ value: {value} }}", text, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
