"""The command line of a task: the same words wherever the task runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

TRACE_ID: Final = "{{ params.trace_id or run_id }}"
_SCOPE: Final = ("--pairs={{ (params.pairs or []) | join(',') }}", "--history-months={{ params.history_months or '' }}")
LONGEST_WORDS: Final = 4_000
"""Characters of what a person or a log says that an option carries; the engine refuses a much longer request."""
_EMPTY: Final = re.compile(r"(--[a-z-]+=)?")


def task_words(config_root: str, task: str, options: Mapping[str, str], flags: Mapping[str, str]) -> list[str]:
    """Words of ``python -m tasks …``; each may be a Jinja template.

    Args:
        config_root: folder of the configuration.
        task: name of the task.
        options: name → value; each becomes one word ``--name=value``.
        flags: name → Jinja expression; where it holds, the word is ``--name``.
    """
    words = ["python", "-m", "tasks", f"--config={config_root}", f"--trace-id={TRACE_ID}", *_SCOPE, task]
    words += [f"--{name}={value}" for name, value in options.items()]
    return [*words, *(f"{{{{ '--{name}' if {expression} else '' }}}}" for name, expression in flags.items())]


def without_empty_options(words: Sequence[str]) -> list[str]:
    """Rendered words without the options and flags whose template came out empty."""
    return [word for word in words if not _EMPTY.fullmatch(word)]


def in_words(text: str) -> str:
    """What a person or a log says, as the value of an option: no control characters, and of a long text both ends."""
    plain = "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)
    half = LONGEST_WORDS // 2 - 2
    return plain if len(plain) <= LONGEST_WORDS else f"{plain[:half]} … {plain[-half:]}"
