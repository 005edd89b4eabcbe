"""The command line of a task: the same words wherever the task runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

TRACE_ID: Final = "{{ params.trace_id or run_id }}"
_EMPTY: Final = re.compile(r"--[a-z-]+=")


def task_words(config_root: str, task: str, options: Mapping[str, str]) -> list[str]:
    """Words of ``python -m tasks …``; each option is one word ``--name=value`` and may be a Jinja template."""
    words = ["python", "-m", "tasks", f"--config={config_root}", f"--trace-id={TRACE_ID}", task]
    return [*words, *(f"--{name}={value}" for name, value in options.items())]


def without_empty_options(words: Sequence[str]) -> list[str]:
    """Rendered words without the options whose template came out empty."""
    return [word for word in words if not _EMPTY.fullmatch(word)]
