"""What a report is made of, whatever it is written as: sections of words, facts, charts and tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Draw = Callable[[Any], None]
"""Draws into an empty matplotlib Figure or SubFigure."""
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Fact:
    """One number with its name; `beside` is the limit it is held against, or what else to know about it."""

    name: str
    value: str
    beside: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Chart:
    """A plot and what it shows in plain words. `height` is in inches at a width of `style.WIDTH`.

    Where there is nothing to draw `draw` is None and `absent` says why.
    """

    key: str
    title: str
    text: str
    height: float = 2.9
    draw: Draw | None = None
    absent: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header. Columns whose position is in `left` hold words, the others numbers.

    Without rows `absent` says why.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)
    text: str = ""
    absent: str = "There is nothing to list."


@dataclass(frozen=True)
class Section:
    """A chapter: words, then facts, charts and tables in this order."""

    key: str
    title: str
    text: str
    facts: tuple[Fact, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole document. `status` is the verdict, `reasons` why; `subtitle` says which data it is about."""

    model_version: str
    status: str
    subtitle: str
    summary: str
    reasons: tuple[str, ...]
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
