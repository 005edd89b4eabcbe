"""Are the probabilities right, and does a higher one earn more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from core.report.document import Chart, Fact, Section, Table
from core.report.intervals import MoneyBand, money_bands, wilson
from core.report.material import Material
from core.report.style import BLUE, GREEN, GREY, ORANGE, legend_above
from core.report.wording import number, share, span

_MODELS: Final = {
    "ai1": ("AI1, chance that the spread reverts", "return_prob", "theta1", "θ1"),
    "ai2": ("AI2, risk of the holding period", "risk_score", "theta2", "θ2"),
}


def calibration_section(material: Material) -> Section:
    """Reliability of AI1 and AI2, each beside its money curve."""
    charts: list[Chart] = []
    tables: list[Table] = []
    for name, (title, score, key, symbol) in _MODELS.items():
        curve = material.metrics.get("calibration", {}).get(name, [])
        bands = money_bands(material.candidates, score)
        theta = float(material.verdict[key])
        charts += [_reliability(name, title, curve), _money(name, title, bands, theta, symbol)]
        tables.append(_bands_table(title, bands, curve))
    return Section(
        "calibration",
        "Calibration, and what it is worth",
        "Walk-forward predictions only: each month by models trained on what was known before it. A calibrated "
        "probability is not yet a profit: the spread also counts as reverted when its mean drifts to the price, so "
        "beside each calibration curve stands what the positions made.",
        facts=_facts(material.metrics),
        charts=tuple(charts),
        tables=tuple(tables),
    )


def _facts(metrics: Mapping[str, Any]) -> tuple[Fact, ...]:
    oos = metrics.get("oos", {})
    facts = []
    for name in ("ai1", "ai2"):
        found = oos.get(name, {})
        facts.append(
            Fact(
                f"{name.upper()} AUC",
                number(found.get("auc"), ".3f"),
                f"Brier {number(found.get('brier'), '.3f')}, ECE {number(found.get('ece'), '.3f')}",
            )
        )
    found = oos.get("ai3", {})
    beside = f"pinball loss {number(found.get('pinball'), '.2g')}"
    return (*facts, Fact("AI3 coverage", share(found.get("coverage")), beside))


def _reliability(name: str, title: str, curve: list[Mapping[str, float]]) -> Chart:
    text = (
        "Each dot is a tenth of the labelled starts: what the model said against how often it came true. On the line "
        "the probability can be taken at its word; above it the model is too modest, below it too sure. Bars are "
        "Wilson intervals at 95 %; label windows overlap, so the truth is somewhat wider."
    )
    if not curve:
        return Chart(f"calibration-{name}", title, text, absent="No labelled prediction is out of sample.")

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        said = np.array([band["predicted"] for band in curve])
        seen = np.array([band["observed"] for band in curve])
        ends = np.array([wilson(round(band["observed"] * band["count"]), int(band["count"])) for band in curve])
        low, high = min(said.min(), ends.min()), max(said.max(), ends.max())
        room = max(0.03, 0.06 * (high - low))
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), label="perfect")
        axes.errorbar(
            said,
            seen,
            yerr=np.abs(np.stack([seen - ends[:, 0], ends[:, 1] - seen])),
            fmt="o",
            color=BLUE,
            elinewidth=1.1,
            label="observed, 95 %",
        )
        axes.set_xlim(low - room, high + room)
        axes.set_ylim(low - room, high + room)
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("share that came true")
        legend_above(axes)

    return Chart(f"calibration-{name}", title, text, height=3.2, draw=draw)


def _money(name: str, title: str, bands: list[MoneyBand], theta: float, symbol: str) -> Chart:
    side = "right" if name == "ai1" else "left"
    heading = f"{title.split(',', maxsplit=1)[0]}, money by band"
    text = (
        "The same scores against money: the mean result of a position from each tenth of all out-of-sample starts, in "
        "basis points of its gross, before costs (rings) and after (dots, interval at 95 % over calendar weeks). Only "
        f"bands whose dots stand above 0 are worth trading; {symbol} lets through what lies to the {side} of the "
        "dashed line."
    )
    if not bands:
        return Chart(f"money-{name}", heading, text, absent="There was no out-of-sample start that could be traded.")

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        score = [band.score for band in bands]
        axes.axhline(0.0, color=GREY, linewidth=0.9)
        axes.axvline(theta, color=ORANGE, linewidth=1.0, linestyle=(0, (4, 3)), label=f"{symbol} {theta:.2f}")
        axes.plot(score, [band.gross for band in bands], "o", mfc="white", mec=GREY, label="before costs")
        halves = np.nan_to_num([band.half for band in bands])
        axes.errorbar(
            score, [b.net for b in bands], yerr=halves, fmt="o", color=GREEN, elinewidth=1.1, label="net, 95 %"
        )
        axes.set_xlabel("predicted probability" if name == "ai1" else "predicted risk")
        axes.set_ylabel("mean result, bp of gross")
        legend_above(axes)

    return Chart(f"money-{name}", heading, text, height=3.2, draw=draw)


def _bands_table(title: str, bands: list[MoneyBand], curve: list[Mapping[str, float]]) -> Table:
    labelled = dict(enumerate(curve))
    rows = []
    for place, band in enumerate(bands):
        seen = labelled.get(place)
        interval = wilson(round(seen["observed"] * seen["count"]), int(seen["count"])) if seen else None
        rows.append(
            (
                span(band.low, band.high, ".3f"),
                f"{band.count:,}",
                share(seen["observed"]) if seen else "–",
                span(*interval, ".1%") if interval else "–",
                number(band.gross, ".1f"),
                number(band.net, ".1f"),
                span(band.net - band.half, band.net + band.half, ".1f"),
            )
        )
    return Table(
        f"{title}: the bands",
        ("Score", "Starts", "Came true", "Wilson 95 %", "Gross, bp", "Net, bp", "Net, 95 %"),
        tuple(rows),
        text=(
            "Money is of every start, the share that came true of the starts whose label window is whole; the tenths "
            "of the two differ by the few whose window the data cut off."
        ),
        absent="There was no out-of-sample start that could be traded.",
    )
