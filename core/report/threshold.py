"""The θ search: its surface, its trials and what was put in force (SPEC TH-1 … TH-3)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from core.report.document import Chart, Fact, Section, Table
from core.report.material import Material
from core.report.style import BLUE, GREY, INK, ORANGE, SURFACE, legend_above
from core.report.wording import NOT_COMPUTED, count, number, share, span

_LISTED: Final = 10
_DRAWABLE: Final = 4


def threshold_section(material: Material) -> Section:
    """Chosen θ and why, the surface, the search's course and its best trials."""
    theta = material.theta
    gain = theta.get("gain")
    facts = (
        Fact("θ1, least chance of reversion", number(theta["theta1"], ".3f"), _before(theta, "theta1")),
        Fact("θ2, most risk", number(theta["theta2"], ".3f"), _before(theta, "theta2")),
        Fact(
            "Outcome", str(theta["status"]), f"{count(int(theta['n_trials']), 'trial')} on {theta['n_starts']:,} starts"
        ),
        Fact(
            "Gain over the previous θ",
            number(gain["gain"], ".4f") if gain else NOT_COMPUTED,
            f"95 %: {span(gain['low'], gain['high'], '.4f')}" if gain else "no θ within limits to compare",
        ),
    )
    return Section(
        "theta",
        "θ search",
        "A start may be traded when AI1's probability is above θ1 and AI2's risk below θ2. θ is searched on the "
        f"months before the adoption window. {theta['reason'][:1].upper()}{theta['reason'][1:]}.",
        facts=facts,
        charts=(_surface(material), _course(material)),
        tables=(_best(material),),
    )


def _before(theta: Any, key: str) -> str:
    previous = theta.get("previous") or {}
    return f"before: {number(previous.get(key), '.3f')}"


def _surface(material: Material) -> Chart:
    title = "The objective over θ1 and θ2"
    surface = material.surface
    if surface is not None and not surface.empty and surface["value"].notna().any():
        text = (
            "The objective (annual return less penalties for drawdown, for false positives and for too few trades) at "
            "every θ of the grid. A broad bright plateau around the chosen θ is a sound choice; a lone bright spot is "
            "luck. Dots are the trials."
        )
        return Chart("theta-surface", title, text, height=3.5, draw=_draw_grid(material, surface))
    if len(material.trials) < _DRAWABLE or not material.trials["value"].notna().any():
        return Chart("theta-surface", title, "", absent="Not computed: the search made too few trials to draw.")
    text = (
        "The objective at each trial of the search; brighter is better. The surface over the whole grid was not "
        "computed for this run. Bright dots should lie together: a lone one is luck."
    )
    return Chart("theta-surface", title, text, height=3.5, draw=_draw_trials(material))


def _draw_grid(material: Material, surface: pd.DataFrame) -> Any:
    grid = surface.pivot_table(index="theta2", columns="theta1", values="value", aggfunc="mean")
    values = grid.to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        across, up = grid.columns.to_numpy(dtype=np.float64), grid.index.to_numpy(dtype=np.float64)
        half = [(line[-1] - line[0]) / max(line.size - 1, 1) / 2.0 or 0.005 for line in (across, up)]
        image = axes.imshow(
            values,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap=SURFACE,
            vmin=float(np.quantile(known, 0.02)),
            vmax=float(known.max()),
            extent=(across[0] - half[0], across[-1] + half[0], up[0] - half[1], up[-1] + half[1]),
        )
        axes.plot(material.trials["theta1"], material.trials["theta2"], ".", color="white", markersize=2.5, alpha=0.7)
        _marks(material, axes)
        _bar(figure, image, axes)

    return draw


def _draw_trials(material: Material) -> Any:
    trials = material.trials.sort_values("value")
    values = trials["value"].to_numpy(dtype=np.float64)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        image = axes.scatter(
            trials["theta1"],
            trials["theta2"],
            c=values,
            s=42,
            cmap=SURFACE,
            vmin=float(np.nanquantile(values, 0.05)),
            vmax=float(np.nanmax(values)),
            edgecolors="white",
            linewidths=0.5,
        )
        _marks(material, axes)
        _bar(figure, image, axes)

    return draw


def _marks(material: Material, axes: Any) -> None:
    theta, previous = material.theta, material.theta.get("previous")
    if previous:
        axes.plot(
            previous["theta1"], previous["theta2"], "s", mfc="none", mec=INK, mew=1.4, markersize=8, label="previous θ"
        )
    axes.plot(theta["theta1"], theta["theta2"], "o", mfc="none", mec=ORANGE, mew=2.0, markersize=11, label="θ in force")
    axes.set_xlabel("θ1")
    axes.set_ylabel("θ2")
    axes.grid(visible=False)
    legend_above(axes)


def _bar(figure: Any, image: Any, axes: Any) -> None:
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=28)
    bar.outline.set_visible(False)
    bar.set_label("objective")


def _course(material: Material) -> Chart:
    title = "The search's course"
    text = (
        "The objective of each trial in order, and the best within the limits so far: first the grid, then the "
        "sampler, which looks where it was good. A line that has long been flat says that more trials would not help."
    )
    trials = material.trials.sort_values("number")
    if trials.empty:
        return Chart("theta-course", title, text, absent="The search made no trial.")
    allowed = trials["value"].where(trials["within_limits"].astype(bool))
    best = allowed.cummax().ffill()

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        inside = trials["within_limits"].to_numpy(dtype=bool)
        number_of = trials["number"].to_numpy()
        value = trials["value"].to_numpy(dtype=np.float64)
        axes.plot(number_of[inside], value[inside], "o", color=BLUE, markersize=3.5, label="within limits")
        axes.plot(number_of[~inside], value[~inside], "o", mfc="white", mec=GREY, markersize=3.5, label="outside")
        axes.plot(number_of, best, color=ORANGE, linewidth=1.4, drawstyle="steps-post", label="best so far")
        axes.set_xlabel("trial")
        axes.set_ylabel("objective")
        legend_above(axes)

    return Chart("theta-course", title, text, height=3.5, draw=draw)


def _best(material: Material) -> Table:
    trials = material.trials
    order = trials.assign(out=~trials["within_limits"].astype(bool)).sort_values(
        ["out", "value", "number"], ascending=[True, False, True]
    )
    rows = tuple(
        (
            number(row["theta1"], ".3f"),
            number(row["theta2"], ".3f"),
            number(row["value"], ".4f"),
            share(row["annual_return"]),
            share(row["max_drawdown"]),
            number(row["trades_per_year"], ".0f"),
            number(row["sharpe"]),
            "yes" if row["within_limits"] else "no",
        )
        for row in order.head(_LISTED).to_dict("records")
    )
    header = ("θ1", "θ2", "Objective", "Annual return", "Drawdown", "Trades a year", "Sharpe", "Within limits")
    return Table("The best trials, on the search window", header, rows, left=(), absent="The search made no trial.")
