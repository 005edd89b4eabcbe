"""What the training and the θ search have shown of themselves: that neither saw the future (docs/leakage.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.report.document import Fact, Section, Table
from core.report.material import Material


def leakage_section(material: Material) -> Section:
    """Every check of the leak certificates: what was compared, how often, and whether it held."""
    checks: list[Mapping[str, Any]] = [
        check for certificate in material.certificates for check in certificate["checks"]
    ]
    failed = sum(not check["passed"] for check in checks)
    compared = sum(int(check["count"]) for check in checks)
    return Section(
        "leakage",
        "Leak certificate",
        "Each training and each θ search tries to show a leak of its own: later bars are replaced by noise, windows "
        "are held against each other, fits are made again. A model with a failed or a missing check is not published.",
        facts=(
            Fact(
                "Outcome",
                ("failed" if failed else "passed") if checks else "none made",
                f"{len(checks) - failed} of {len(checks)} checks hold, {compared:,} comparisons",
                ("bad" if failed else "good") if checks else "bad",
            ),
        ),
        tables=(
            Table(
                "Checks",
                ("Check", "Compared", "Comparisons", "Outcome"),
                tuple(_row(check) for check in checks),
                left=(0, 1, 3),
                absent="The run has no leak certificate.",
            ),
        ),
    )


def _row(check: Mapping[str, Any]) -> tuple[str, ...]:
    outcome = "holds" if check["passed"] else f"failed: {check['found']}"
    return str(check["name"]).replace("_", " "), str(check["compared"]), f"{int(check['count']):,}", outcome
