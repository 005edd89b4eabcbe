"""bt_stress_results: the table the stress leaves behind (SPEC BT-1, BT-3)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import pandas as pd

from core.backtest.frames import Provenance
from core.backtest.stress.edge import EdgeLimit
from core.backtest.stress.run import StressResult
from core.backtest.summary import Summary

UNSTRESSED: Final = "none"
_NUMBERS: Final = ("sharpe", "max_drawdown", "annual_return", "n_trades", "trades_per_year")


def stress_frame(result: StressResult, theta1: float, theta2: float, provenance: Provenance) -> pd.DataFrame:
    """One row a scenario and multiple, the unstressed first as scenario `none` (multiple and intensity 0).

    `intensity` is in the scenario's unit: ATRs of noise, return sds of noise, factor on costs, mean bars late, ATRs of
    a jump. `edge` is the `EdgeLimit` of the scenario and `edge_multiple` its multiple, the same in all its rows;
    `edge` of `none` says whether there is one (`dies` cannot be).
    """
    found = EdgeLimit("survives" if result.baseline.sharpe > 0.0 else "no_edge", 0.0)
    rows = [_row(UNSTRESSED, 0.0, 0.0, result.baseline, found)]
    rows += [
        _row(point.scenario, point.multiple, point.intensity, point.summary, result.limits[point.scenario])
        for point in result.points
    ]
    return pd.DataFrame(rows).assign(theta1=theta1, theta2=theta2, **asdict(provenance))


def _row(scenario: str, multiple: float, intensity: float, summary: Summary, limit: EdgeLimit) -> dict[str, Any]:
    return {
        "scenario": scenario,
        "multiple": multiple,
        "intensity": intensity,
        **{name: getattr(summary, name) for name in _NUMBERS},
        "edge": limit.outcome,
        "edge_multiple": limit.multiple,
    }


def stress_content(result: StressResult) -> dict[str, Any]:
    """The same as JSON, with each scenario's limit in words."""
    return {
        "baseline": {name: getattr(result.baseline, name) for name in _NUMBERS},
        "scenarios": {
            name: {
                "edge": limit.outcome,
                "edge_multiple": limit.multiple,
                "words": in_words(name, limit),
                "points": [
                    {
                        "multiple": point.multiple,
                        "intensity": point.intensity,
                        **{number: getattr(point.summary, number) for number in _NUMBERS},
                    }
                    for point in result.points
                    if point.scenario == name
                ],
            }
            for name, limit in result.limits.items()
        },
    }


def in_words(scenario: str, limit: EdgeLimit) -> str:
    """A scenario's limit as a sentence, such as "Sharpe reaches 0 at 1.71× cost increase"."""
    told = scenario.replace("_", " ")
    if limit.outcome == "dies":
        return f"Sharpe reaches 0 at {limit.multiple:.2f}× {told}"
    if limit.outcome == "survives":
        return f"Sharpe stays above 0 up to {limit.multiple:g}× {told}"
    return "no edge to lose: Sharpe is not above 0 without stress"
