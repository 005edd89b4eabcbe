"""How much worse the world may be before the edge dies (SPEC BT-3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from core.report.document import Chart, Section, Table
from core.report.material import Material
from core.report.style import BLUE, GREY, ORANGE, PALE, legend_above
from core.report.wording import NOT_COMPUTED, number, share

_ABSENT: Final = "Not computed: the run has no stress results."
_CALM: Final = "none"
_HEADER: Final = ("Scenario", "Multiple", "Sharpe", "Drawdown", "Annual return", "Trades", "The edge")


def stress_section(material: Material) -> Section:
    """Sharpe and drawdown under each scenario, and the multiple at which the Sharpe ratio reaches 0."""
    return Section(
        "stress",
        "Stress",
        "The adoption window again at the same θ, in worse worlds: noisier exits, correlations that collapse, dearer "
        "trading, late fills, gaps. The multiple says how much worse; the edge dies where the Sharpe ratio reaches 0.",
        charts=(_chart(material),),
        tables=(_table(material),),
    )


def edge_in_words(verdict: Mapping[str, Any], scenario: str) -> str:
    """Where a scenario's edge ends, of verdict.json's `stress`."""
    found = (verdict.get("stress") or {}).get("scenarios", {}).get(scenario)
    if found is None:
        return "–" if scenario == _CALM else NOT_COMPUTED
    multiple = number(found["edge_multiple"], ".3g")
    return {
        "dies": f"Sharpe reaches 0 at {multiple} ×",
        "survives": f"still alive at {multiple} ×",
        "no_edge": "no edge to lose",
    }.get(found["edge"], str(found["edge"]))


def _chart(material: Material) -> Chart:
    title = "Sharpe ratio under stress"
    text = (
        "Each dot is the adoption window in one scenario. Left of 0 the edge is gone; left of the dashed line the "
        "model would have missed the policy's limit."
    )
    stress = material.stress
    if stress is None or stress.empty:
        return Chart("stress", title, text, absent=_ABSENT)
    names = [_name(row) for row in stress.to_dict("records")]
    sharpe = stress["sharpe"].to_numpy(dtype=np.float64)
    least = material.verdict["limits"].get("sharpe_min")

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        at = np.arange(len(names))[::-1]
        axes.axvline(0.0, color=GREY, linewidth=0.9)
        if least is not None:
            axes.axvline(least, color=ORANGE, linestyle=(0, (4, 3)), linewidth=1.0, label=f"limit {least:.2f}")
        axes.hlines(at, 0.0, sharpe, color=PALE, linewidth=2.0)
        axes.plot(sharpe, at, "o", color=BLUE, markersize=6)
        axes.set_yticks(at, names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel("Sharpe ratio")
        axes.grid(visible=False, axis="y")
        if least is not None:
            legend_above(axes)

    return Chart("stress", title, text, height=1.2 + 0.24 * len(names), draw=draw)


def _name(row: Mapping[Any, Any]) -> str:
    if row["scenario"] == _CALM:
        return "unstressed"
    return f"{_plain(row['scenario'])} × {number(row['multiple'], 'g')}"


def _plain(name: str) -> str:
    return str(name).replace("_", " ")


def _table(material: Material) -> Table:
    rows: tuple[tuple[str, ...], ...] = ()
    if material.stress is not None:
        rows = tuple(
            (
                "unstressed" if row["scenario"] == _CALM else _plain(row["scenario"]),
                "–" if row["scenario"] == _CALM else number(row["multiple"], "g"),
                number(row["sharpe"]),
                share(row["max_drawdown"]),
                share(row["annual_return"]),
                number(row["n_trades"], ",.0f"),
                edge_in_words(material.verdict, row["scenario"]),
            )
            for row in material.stress.to_dict("records")
        )
    return Table("Scenarios", _HEADER, rows, left=(0, 6), absent=_ABSENT)
