"""The whole report of a judged run."""

from __future__ import annotations

from core.report.calibration import calibration_section
from core.report.costs import costs_section
from core.report.document import Report
from core.report.equity import equity_section
from core.report.evidence import data_section, provenance_section
from core.report.importance import importance_section
from core.report.judgement import headline_facts, judgement_section, summary_sentence
from core.report.labels import labels_section
from core.report.leakage import leakage_section
from core.report.material import Material
from core.report.stress import stress_section
from core.report.threshold import threshold_section
from core.report.trades import trades_section


def compose(material: Material) -> Report:
    """Every chapter in the order a reader wants it: the verdict, the money, why it should hold, what it rests on."""
    verdict, identity = material.verdict, material.identity
    bars = f"{verdict['n_pairs']} pairs, {verdict['n_bars']:,} bars of {identity['timeframe']}"
    return Report(
        model_version=identity["model_version"],
        status=verdict["status"],
        subtitle=f"{bars}, data up to {identity['as_of'][:16].replace('T', ' ')} UTC",
        summary=summary_sentence(material),
        reasons=tuple(verdict["reasons"]),
        facts=headline_facts(material),
        sections=(
            judgement_section(material),
            equity_section(material),
            stress_section(material),
            costs_section(material),
            trades_section(material),
            calibration_section(material),
            threshold_section(material),
            labels_section(material),
            importance_section(material),
            leakage_section(material),
            data_section(material),
            provenance_section(material),
        ),
    )
