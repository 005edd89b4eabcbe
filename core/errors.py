"""Errors every room may raise: a stable code, what is wrong, where, and what to do about it (SPEC OBS-3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+){2,}")


class CoreError(Exception):
    """An expected failure.

    Args:
        code: ``{DOMAIN}_{CATEGORY}_{CODE}``, e.g. ``DATA_SCHEMA_UNSORTED``.
        message: what is wrong, in one sentence.
        where: the file, key, row or address that is wrong.
        remedy: what the reader can do next.
        outputs: what the task's last line shall hand on all the same, e.g. where the report of a failed gate is.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, code: str, message: str, *, where: str, remedy: str, outputs: Mapping[str, Any] | None = None
    ) -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"error code {code!r} is not of the form DOMAIN_CATEGORY_CODE")
        super().__init__(f"{code}: {message} [where: {where}] [do: {remedy}]")
        self.code = code
        self.message = message
        self.where = where
        self.remedy = remedy
        self.outputs = dict(outputs or {})


class QualityError(CoreError):
    """A data-quality gate failed."""

    exit_code = 10


class BlockedError(CoreError):
    """Something a verdict needs is missing; nothing is judged (SPEC TRN-2)."""

    exit_code = 11


class InputError(CoreError):
    """Bad configuration or bad input; the same call fails again until it is mended."""

    exit_code = 20


class TransientError(CoreError):
    """A server or a disk did not answer; the same call may succeed later."""

    exit_code = 30
