"""How often the labels are 1: by pair and by month."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from core.report.document import Chart, Fact, Section, Table
from core.report.intervals import wilson
from core.report.material import Material
from core.report.style import BLUE, GREY, ORANGE, date_axis, legend_above
from core.report.wording import share, span

_MODELS: Final = {"ai1": ("AI1, reverted", BLUE), "ai2": ("AI2, risk event", ORANGE)}
_NO_LABEL: Final = "No out-of-sample start has a whole label window."


def labels_section(material: Material) -> Section:
    """Base rates of AI1's and AI2's labels over time and by pair, of the out-of-sample starts."""
    known = material.predictions.dropna(subset=["ai1", "ai2"])
    rates = material.metrics.get("base_rates", {})
    return Section(
        "labels",
        "Label base rates",
        "How often the spread reverted (AI1) and how often a risk event came (AI2), whatever the models said. A model "
        "is of use only where it tells more than these rates; where they swing, the market has changed. Charts and "
        "table are of the out-of-sample starts, intervals are Wilson's at 95 %.",
        facts=tuple(
            Fact(f"{name.upper()}, all labelled starts", share(rates.get(name)), "training included")
            for name in _MODELS
        ),
        charts=(_months(known), _pairs(known)),
        tables=(_table(known),),
    )


def _rates(groups: Any, name: str) -> pd.DataFrame:
    found: pd.DataFrame = groups[name].agg(["sum", "count"])
    ends = [wilson(int(ones), int(many)) for ones, many in found.to_numpy()]
    low, high = np.array(ends).reshape(-1, 2).T
    return found.assign(rate=found["sum"] / found["count"], low=low, high=high)


def _months(known: pd.DataFrame) -> Chart:
    title, text = "By month", "The share of starts in each month whose label is 1. Bands are intervals."
    if known.empty:
        return Chart("labels-months", title, text, absent=_NO_LABEL)
    groups = known.groupby(known["ts"].dt.tz_localize(None).dt.to_period("M"))

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for name, (label, colour) in _MODELS.items():
            rates = _rates(groups, name)
            middles = pd.PeriodIndex(rates.index).to_timestamp() + pd.Timedelta(days=14)
            axes.fill_between(middles, rates["low"] * 100, rates["high"] * 100, color=colour, alpha=0.18, linewidth=0)
            axes.plot(middles, rates["rate"] * 100, "o-", color=colour, markersize=3, label=label)
        axes.set_ylim(0, 100)
        axes.set_ylabel("share of starts, %")
        date_axis(axes)
        legend_above(axes)

    return Chart("labels-months", title, text, height=3.0, draw=draw)


def _pairs(known: pd.DataFrame) -> Chart:
    title = "By pair"
    text = "The same by pair. Vertical lines are the rates of all pairs together."
    if known.empty:
        return Chart("labels-pairs", title, text, absent=_NO_LABEL)
    groups = known.groupby("pair_id")
    names = list(groups.groups)[::-1]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for name, (label, colour) in _MODELS.items():
            rates = _rates(groups, name).loc[names]
            error = np.abs(np.stack([rates["rate"] - rates["low"], rates["high"] - rates["rate"]])) * 100
            axes.axvline(float(known[name].mean()) * 100, color=GREY, linewidth=0.8)
            axes.errorbar(
                rates["rate"] * 100,
                np.arange(len(names)),
                xerr=error,
                fmt="o",
                color=colour,
                elinewidth=1.1,
                label=label,
            )
        axes.set_yticks(np.arange(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of starts, %")
        axes.grid(visible=False, axis="y")
        legend_above(axes)

    return Chart("labels-pairs", title, text, height=max(2.0, 1.1 + 0.2 * len(names)), draw=draw)


def _table(known: pd.DataFrame) -> Table:
    header = ("Pair", "Starts", "AI1", "AI1, 95 %", "AI2", "AI2, 95 %")
    if known.empty:
        return Table("Base rates by pair", header, (), absent=_NO_LABEL)
    groups = known.groupby("pair_id")
    first, second = _rates(groups, "ai1"), _rates(groups, "ai2")
    rows = tuple(
        (
            str(name),
            f"{int(first.loc[name, 'count']):,}",
            *(
                text
                for rates in (first, second)
                for text in (
                    share(rates.loc[name, "rate"]),
                    span(rates.loc[name, "low"], rates.loc[name, "high"], ".1%"),
                )
            ),
        )
        for name in first.index
    )
    return Table("Base rates by pair", header, rows)
