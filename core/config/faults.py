"""A configuration's faults, collected so that one report names them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InputError


@dataclass(frozen=True, order=True)
class Fault:
    """One fault: the file, the key inside it (dotted), and what was expected."""

    file: str
    key: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.expected}"


class ConfigurationError(InputError):
    """The configuration cannot be used; `faults` lists everything wrong with it."""

    def __init__(self, faults: Sequence[Fault], where: str) -> None:
        self.faults = tuple(sorted(faults))
        listing = "".join(f"\n  - {fault}" for fault in self.faults)
        count = f"{len(self.faults)} fault{'s' if len(self.faults) != 1 else ''}"
        super().__init__(
            "CONFIG_SCHEMA_INVALID",
            f"{count} in the configuration:{listing}\n",
            where=where,
            remedy="mend every line listed above; nothing was started",
        )
