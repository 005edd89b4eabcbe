"""Words set in lines on a PDF page: measured, wrapped and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath

from core.report.document import Table
from core.report.style import GREY, INK, PALE

FAMILY: Final = "DejaVu Sans"
LEADING: Final = 1.42
_POINTS: Final = 72.0
_SMALLEST: Final = 4.5
_GAP: Final = 0.12


@lru_cache(maxsize=20_000)
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Inches a text takes in one line."""
    font = FontProperties(family=FAMILY, size=size, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / _POINTS


def wrap(text: str, size: float, width: float, weight: str = "normal") -> list[str]:
    """Lines of a text no wider than `width` inches; a longer word is cut."""
    lines: list[str] = []
    for word in text.split():
        rest = word
        if lines and width_of(f"{lines[-1]} {rest}", size, weight) <= width:
            lines[-1] = f"{lines[-1]} {rest}"
            continue
        while width_of(rest, size, weight) > width and len(rest) > 1:
            fits = max(1, int(len(rest) * width / width_of(rest, size, weight)) - 1)
            lines.append(rest[:fits])
            rest = rest[fits:]
        lines.append(rest)
    return lines


def height_of(lines: Sequence[str], size: float) -> float:
    """Inches the lines take."""
    return len(lines) * size * LEADING / _POINTS


class Sheet:
    """One page that is written on from its top left corner, in inches."""

    def __init__(self, figure: Any, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def text(self, x: float, y: float, text: str, size: float, **how: Any) -> None:
        """One line whose top is at y."""
        how = {"color": INK, "ha": "left", "family": FAMILY, **how}
        self.figure.text(
            x / self.width, 1.0 - y / self.height, text, size=size, va="top", parse_math=False, in_layout=False, **how
        )

    def lines(self, x: float, y: float, lines: Sequence[str], size: float, **how: Any) -> float:
        """Lines from y down; returns where they end."""
        for place, line in enumerate(lines):
            self.text(x, y + place * size * LEADING / _POINTS, line, size, **how)
        return y + height_of(lines, size)

    def rule(self, x: float, y: float, length: float, colour: str = PALE, thickness: float = 0.6) -> None:
        """A horizontal line."""
        ends = [x / self.width, (x + length) / self.width]
        line = Line2D(ends, [1.0 - y / self.height] * 2, color=colour, linewidth=thickness)
        line.set_in_layout(False)
        self.figure.add_artist(line)


class SetTable:
    """A table fitted to a width: its letters shrink, then its last column of words is wrapped."""

    def __init__(self, table: Table, width: float, size: float) -> None:
        self._table = table
        rows = (table.header, *table.rows)
        columns = range(len(table.header))

        def natural(at: float) -> list[float]:
            return [max(width_of(row[column], at) for row in rows) + _GAP for column in columns]

        while sum(natural(size)) > width and size > _SMALLEST and len(table.header) > 2:
            size -= 0.25
        self.size, self._widths = size, natural(size)
        if len(table.header) == 2:
            self._widths[0] = min(self._widths[0], 0.45 * width)
            self._widths[1] = width - self._widths[0]
        else:
            spare = max(0.0, width - sum(self._widths)) / max(len(table.header) - 1, 1)
            self._widths = [self._widths[0] + spare, *(each + spare for each in self._widths[1:-1]), self._widths[-1]]

    def header_height(self) -> float:
        return self.size * 1.9 / _POINTS

    def row_height(self, row: Sequence[str]) -> float:
        deepest = max(len(lines) for lines in self._cells(row))
        return (deepest * LEADING + 0.45) * self.size / _POINTS

    def draw_row(self, sheet: Sheet, x: float, y: float, row: Sequence[str], *, header: bool = False) -> None:
        """One row with a rule under it."""
        colour = GREY if header else INK
        at = x
        for column, lines in enumerate(self._cells(row)):
            left = column in self._table.left
            edge = at if left else at + self._widths[column] - (_GAP if column < len(row) - 1 else 0.0)
            sheet.lines(edge, y + 0.02, lines, self.size, ha="left" if left else "right", color=colour)
            at += self._widths[column]
        height = self.header_height() if header else self.row_height(row)
        sheet.rule(x, y + height - 0.02, sum(self._widths))

    def _cells(self, row: Sequence[str]) -> list[list[str]]:
        if len(row) != 2:
            return [[cell] for cell in row]
        return [wrap(cell, self.size, self._widths[place] - _GAP / 2) or [""] for place, cell in enumerate(row)]
