"""What each model looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from core.report.document import Chart, Section
from core.report.material import Material
from core.report.style import BLUE

_TITLES: Final = {"ai1": "AI1, reversion", "ai2": "AI2, risk", "ai3": "AI3, size of the excursion"}


def importance_section(material: Material) -> Section:
    """Feature importance of the three models trained on all data."""
    importance = material.metrics.get("feature_importance", {})
    return Section(
        "importance",
        "Feature importance",
        "How much each feature moves a model's output, as shares of 100 (CatBoost's prediction values change), of the "
        "models trained on all data, which are the ones published. Importance is not cause: of two features that say "
        "the same, one may take it all.",
        charts=tuple(_chart(name, title, importance.get(name, {})) for name, title in _TITLES.items()),
    )


def _chart(name: str, title: str, shares: Mapping[str, float]) -> Chart:
    known = {feature: value for feature, value in shares.items() if np.isfinite(value)}
    if not any(value > 0.0 for value in known.values()):
        text = "The model uses no feature: it says the same of every start."
        return Chart(f"importance-{name}", title, "", absent=text)
    ordered = sorted(known.items(), key=lambda each: (each[1], each[0]))
    unused = sum(value == 0.0 for value in known.values())
    first = ordered[-1]
    text = f"It leans most on {first[0]} ({first[1]:.0f} of 100); {unused} of {len(known)} features go unused."

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.barh([feature for feature, _ in ordered], [value for _, value in ordered], color=BLUE, height=0.62)
        axes.set_xlabel("share of 100")
        axes.set_ylim(-0.6, len(ordered) - 0.4)
        axes.grid(visible=False, axis="y")

    return Chart(f"importance-{name}", title, text, height=1.0 + 0.18 * len(ordered), draw=draw)
