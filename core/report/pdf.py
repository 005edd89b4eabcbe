"""A report as PDF: A4 pages set with matplotlib, so that no browser is needed where tasks run."""

from __future__ import annotations

import io
import math
from typing import Any, Final

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from core.report.document import Chart, Fact, Report, Section, Table
from core.report.style import GREY, INK, WIDTH, styled
from core.report.typesetting import SetTable, Sheet, height_of, wrap

_PAGE: Final = (8.27, 11.69)
_MARGIN: Final = 0.7
_BOTTOM: Final = 0.85
_INNER: Final = _PAGE[0] - 2 * _MARGIN
_GUTTER: Final = 0.35
_COLUMN: Final = (_INNER - _GUTTER) / 2
_SCALE: Final = _COLUMN / WIDTH * 1.05
_SOFT: Final = "#52606d"
_GOOD: Final = ("#00664a", "#e6f4ef")
_BAD: Final = ("#a33f00", "#fdf0e8")
_BODY, _SMALL, _CAPTION = 8.5, 7.5, 7.0
_FACTS_A_ROW: Final = 5


def render_pdf(report: Report) -> bytes:
    """The document. The same report gives the same bytes: no clock is in it."""
    buffer = io.BytesIO()
    metadata = {"Title": f"Report of {report.model_version}", "Creator": None, "Producer": None, "CreationDate": None}
    with styled("pdf", _SCALE), PdfPages(buffer, metadata=metadata) as pages:
        paper = _Paper(pages, report.model_version)
        _front(paper, report)
        for section in report.sections:
            _section(paper, section)
        paper.close()
    return buffer.getvalue()


class _Paper:
    """Pages filled from the top; `y` is where the next thing goes, in inches."""

    def __init__(self, pages: PdfPages, title: str) -> None:
        self._pages, self._title, self._number = pages, title, 0
        self._begin()

    def _begin(self) -> None:
        self._number += 1
        figure = Figure(figsize=_PAGE)
        self.sheet = Sheet(figure, *_PAGE)
        self._charts: list[tuple[float, float, float, Chart]] = []
        self.y = _MARGIN
        foot = _PAGE[1] - 0.5
        self.sheet.text(_MARGIN, foot, self._title, _CAPTION, color=GREY)
        self.sheet.text(_PAGE[0] - _MARGIN, foot, str(self._number), _CAPTION, color=GREY, ha="right")

    def need(self, height: float) -> bool:
        """Turn the page when less than `height` is left; says whether it did."""
        if self.y + height <= _PAGE[1] - _BOTTOM or self.y == _MARGIN:
            return False
        self.close()
        self._begin()
        return True

    def chart(self, x: float, y: float, height: float, chart: Chart) -> None:
        """Draw a chart one column wide at x, y."""
        self._charts.append((x, y, height, chart))

    def close(self) -> None:
        """Write the page."""
        figure = self.sheet.figure
        for x, y, height, chart in self._charts:
            _place(figure, x, y, height, chart)
        self._pages.savefig(figure)


def _place(figure: Any, x: float, y: float, height: float, chart: Chart) -> None:
    """A chart laid out by itself, then moved into its place on the page."""
    if chart.draw is None:
        return
    layout = ConstrainedLayoutEngine()
    alone = Figure(figsize=(_COLUMN, height), layout=layout)
    chart.draw(alone)
    layout.execute(alone)
    spots = [axes.get_position() for axes in alone.axes]
    part = figure.add_subfigure(figure.add_gridspec(1, 1, left=0, right=1, bottom=0, top=1)[0, 0])
    part.set_facecolor("none")
    chart.draw(part)
    for axes, spot in zip(part.axes, spots, strict=True):
        axes.set_axes_locator(None)
        axes.set_position(
            (
                (x + spot.x0 * _COLUMN) / _PAGE[0],
                1.0 - (y + (1.0 - spot.y0) * height) / _PAGE[1],
                spot.width * _COLUMN / _PAGE[0],
                spot.height * height / _PAGE[1],
            )
        )


def _front(paper: _Paper, report: Report) -> None:
    sheet = paper.sheet
    sheet.text(_MARGIN, paper.y, "MODEL REPORT", _SMALL, color=GREY)
    sheet.text(_MARGIN, paper.y + 0.2, report.model_version, 20, weight="bold")
    sheet.text(_MARGIN, paper.y + 0.62, report.subtitle, _BODY, color=_SOFT)
    paper.y += 1.05
    ink, ground = _GOOD if report.status == "approved" else _BAD
    inner = _INNER - 0.5
    summary = wrap(report.summary, _BODY, inner)
    reasons = [wrap(f"• {reason}", _BODY, inner) for reason in report.reasons]
    height = 0.65 + height_of(summary, _BODY) + sum(height_of(lines, _BODY) + 0.03 for lines in reasons) + 0.12
    box = Rectangle(
        (_MARGIN / _PAGE[0], 1.0 - (paper.y + height) / _PAGE[1]),
        _INNER / _PAGE[0],
        height / _PAGE[1],
        facecolor=ground,
        edgecolor="none",
    )
    sheet.figure.add_artist(box)
    sheet.text(_MARGIN + 0.25, paper.y + 0.18, report.status.capitalize(), 14, weight="bold", color=ink)
    y = sheet.lines(_MARGIN + 0.25, paper.y + 0.5, summary, _BODY) + 0.08
    for lines in reasons:
        y = sheet.lines(_MARGIN + 0.25, y, lines, _BODY) + 0.03
    paper.y += height + 0.25
    _facts(paper, report.facts)


def _section(paper: _Paper, section: Section) -> None:
    text = wrap(section.text, _BODY, _INNER)
    paper.need(0.6 + height_of(text, _BODY) + 2.2)
    if paper.y > _MARGIN:
        paper.y += 0.25
        paper.sheet.rule(_MARGIN, paper.y - 0.12, _INNER)
    paper.sheet.text(_MARGIN, paper.y, section.title, 13, weight="bold")
    paper.y = paper.sheet.lines(_MARGIN, paper.y + 0.3, text, _BODY, color=_SOFT) + 0.12
    _facts(paper, section.facts)
    for first in range(0, len(section.charts), 2):
        _charts(paper, section.charts[first : first + 2])
    for table in section.tables:
        _table(paper, table)


def _facts(paper: _Paper, facts: tuple[Fact, ...]) -> None:
    if not facts:
        return
    columns = math.ceil(len(facts) / math.ceil(len(facts) / _FACTS_A_ROW))
    width = _INNER / columns
    for first in range(0, len(facts), columns):
        row = [(fact, wrap(fact.beside, _CAPTION, width - 0.15)) for fact in facts[first : first + columns]]
        height = 0.5 + max(height_of(beside, _CAPTION) for _, beside in row)
        paper.need(height)
        for place, (fact, beside) in enumerate(row):
            x = _MARGIN + place * width
            colour = {"good": _GOOD[0], "bad": _BAD[0], "plain": INK}[fact.tone]
            mark = {"good": "✓ ", "bad": "✗ ", "plain": ""}[fact.tone]
            paper.sheet.text(x, paper.y, fact.name, _CAPTION, color=_SOFT)
            paper.sheet.text(x, paper.y + 0.14, f"{mark}{fact.value}", 13, color=colour, weight="bold")
            paper.sheet.lines(x, paper.y + 0.42, beside, _CAPTION, color=GREY)
        paper.y += height + 0.12


def _charts(paper: _Paper, charts: tuple[Chart, ...]) -> None:
    ratio = _COLUMN / WIDTH
    heights = [chart.height * ratio if chart.draw is not None else 0.9 for chart in charts]
    captions = [wrap(chart.text, _CAPTION, _COLUMN) for chart in charts]
    deepest = max(heights)
    paper.need(0.25 + deepest + max(height_of(lines, _CAPTION) for lines in captions))
    for place, (chart, height, caption) in enumerate(zip(charts, heights, captions, strict=True)):
        x = _MARGIN + place * (_COLUMN + _GUTTER)
        paper.sheet.text(x, paper.y, chart.title, _BODY, weight="bold")
        if chart.draw is None:
            paper.sheet.lines(x, paper.y + 0.35, wrap(chart.absent, _BODY, _COLUMN), _BODY, color=_SOFT)
        paper.chart(x, paper.y + 0.22, height, chart)
        paper.sheet.lines(x, paper.y + 0.27 + height, caption, _CAPTION, color=_SOFT)
    each = [height + height_of(caption, _CAPTION) for height, caption in zip(heights, captions, strict=True)]
    paper.y += 0.27 + max(each) + 0.2


def _table(paper: _Paper, table: Table) -> None:
    text = wrap(table.text if table.rows else table.absent, _CAPTION, _INNER)
    fitted = SetTable(table, _INNER, _SMALL)
    first = fitted.header_height() + (fitted.row_height(table.rows[0]) * 2 if table.rows else 0.0)
    paper.need(0.3 + height_of(text, _CAPTION) + first)
    paper.sheet.text(_MARGIN, paper.y, table.title, _BODY, weight="bold")
    paper.y = paper.sheet.lines(_MARGIN, paper.y + 0.2, text, _CAPTION, color=_SOFT) + 0.05
    if not table.rows:
        paper.y += 0.12
        return
    _header(paper, fitted, table)
    for row in table.rows:
        height = fitted.row_height(row)
        if paper.need(height):
            _header(paper, fitted, table)
        fitted.draw_row(paper.sheet, _MARGIN, paper.y, row)
        paper.y += height
    paper.y += 0.22


def _header(paper: _Paper, fitted: SetTable, table: Table) -> None:
    fitted.draw_row(paper.sheet, _MARGIN, paper.y, table.header, header=True)
    paper.y += fitted.header_height()
