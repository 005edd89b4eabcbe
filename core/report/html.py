"""A report as one HTML page that needs nothing else: styles and charts are in it, no script, no address."""

from __future__ import annotations

import io
import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from core.report.document import Chart, Report
from core.report.style import WIDTH, styled

_METADATA: Final = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_NAMED: Final = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
_OPENING: Final = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', re.DOTALL)


def render_html(report: Report) -> str:
    """The page. The same report gives the same text."""
    environment = Environment(
        loader=PackageLoader("core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plot"] = chart_svg
    style = environment.get_template("report.css").render()
    return environment.get_template("report.html.j2").render(report=report, style=Markup(style))  # noqa: S704 - ours


def chart_svg(chart: Chart) -> Markup:
    """A drawn chart as an inline SVG, its words in the page's own font, as wide as its column."""
    if chart.draw is None:
        raise ValueError(f"chart {chart.key} has nothing to draw")
    with styled(chart.key):
        figure = Figure(figsize=(WIDTH, chart.height), layout="constrained")
        chart.draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=_METADATA)
    text = buffer.getvalue()
    text = _NAMED.sub("", text[text.index("<svg ") :])  # ids nothing refers to, the same in every chart
    label = Markup.escape(chart.title)
    opening = rf'<svg role="img" aria-label="{label}" viewBox="\1" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return Markup(_OPENING.sub(opening, text, count=1))  # noqa: S704 - matplotlib escapes the words it draws
