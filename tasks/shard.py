"""`--shard=k/n`: the k-th of n parts of a task's work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import typer

_FORM: Final = re.compile(r"([1-9]\d*)/([1-9]\d*)")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `k/n`. Raises typer.BadParameter where that is no part."""
        found = _FORM.fullmatch(text)
        if found is None or int(found[1]) > int(found[2]):
            raise typer.BadParameter(f"{text!r} is no part k/n with 1 ≤ k ≤ n, such as 1/2")
        return cls(int(found[1]), int(found[2]))

    def part(self, items: Sequence[Item]) -> list[Item]:
        """Every count-th item: each item is in one part, whatever their number."""
        return list(items[self.number - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


ShardOption = Annotated[
    Shard | None,
    typer.Option(
        parser=Shard.parse,
        metavar="K/N",
        help="Do the k-th of n parts of the work and no more; the task without it takes over what its parts did.",
    ),
]
