"""How every chart looks: a small width that stays readable on a phone, colours told apart by colour-blind eyes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl

WIDTH: Final = 4.4
"""Inches; a chart is drawn at this width and scaled by the page."""

# Okabe and Ito (2008), Color Universal Design
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
AMBER: Final = "#E69F00"
SKY: Final = "#56B4E9"
INK: Final = "#1d2733"
GREY: Final = "#7b8794"
PALE: Final = "#e4e8ec"
SURFACE: Final = "cividis"

_RC: Final[dict[str, Any]] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.5,
    "axes.labelcolor": "#52606d",
    "axes.edgecolor": "#9aa5b1",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "xtick.color": "#9aa5b1",
    "ytick.color": "#9aa5b1",
    "xtick.labelcolor": "#52606d",
    "ytick.labelcolor": "#52606d",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "text.color": INK,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "timezone": "UTC",
}

_SIZED: Final = frozenset(name for name, value in _RC.items() if isinstance(value, float))


@contextmanager
def styled(salt: str, scale: float = 1.0) -> Iterator[None]:
    """matplotlib's settings while a chart is drawn and written; ids in an SVG depend on `salt` and the content only.

    `scale` shrinks letters, lines and dots along with a chart that is drawn narrower than WIDTH.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        sized = {name: value * scale if name in _SIZED else value for name, value in _RC.items()}
        mpl.rcParams.update({**sized, "svg.hashsalt": salt})
        yield


def legend_above(axes: Any, columns: int = 3) -> None:
    """A legend in one line over the axes, where it hides no data."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        handlelength=1.4,
        columnspacing=1.2,
        handletextpad=0.5,
    )


def date_axis(axes: Any) -> None:
    """Few, short dates along x."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - a second to import

    locator = AutoDateLocator(minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
