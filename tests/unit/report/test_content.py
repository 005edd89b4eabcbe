"""What a report says: every number beside its limit, every chart explained, nothing missing written as a number."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from core.report import pdf
from core.report.compose import compose
from core.report.document import Chart, Report, Section, Table
from core.report.html import render_html
from core.report.material import Material
from core.report.pdf import render_pdf
from core.report.typesetting import Sheet
from core.report.wording import number, share, span
from tasks.context import TaskContext
from tasks.report import read_material
from tests.unit.report.conftest import report_of
from tests.unit.report.judged import COMPARED, VERSION

NOT_A_NUMBER = re.compile(r"\b(nan|NaN|inf|None)\b")


def section(report: Report, key: str) -> Section:
    return next(each for each in report.sections if each.key == key)


def table(report: Report, key: str, title: str) -> Table:
    return next(each for each in section(report, key).tables if each.title == title)


def chart(report: Report, key: str) -> Chart:
    return next(each for part in report.sections for each in part.charts if each.key == key)


def words(report: Report) -> str:
    """Everything the report says, charts' drawn words left out."""
    parts = [report.summary, *report.reasons]
    for part in report.sections:
        facts = [f"{fact.name} {fact.value} {fact.beside}" for fact in (*report.facts, *part.facts)]
        charts = [f"{each.title} {each.text} {each.absent}" for each in part.charts]
        cells = [" ".join(row) for each in part.tables for row in each.rows]
        parts += [part.text, *facts, *charts, *cells]
    return "\n".join(parts)


def test_a_limit_that_judges_nothing_is_neither_kept_nor_missed(material: Material) -> None:
    verdict = {**material.verdict, "limits": {**material.verdict["limits"], "psr_min": 0.0}}
    report = compose(replace(material, verdict=verdict))
    (fact,) = [each for each in report.facts if each.beside == "limit: none, reported only"]
    assert (fact.value, fact.tone) == ("0.970", "plain")


def test_every_judged_number_stands_beside_its_limit(report: Report) -> None:
    assert table(report, "verdict", "Absolute limits").rows == (
        ("Sharpe ratio, net, adoption window", "1.60", "above 1.20", "holds"),
        ("Largest drawdown, adoption window", "2.1%", "below 12.0%", "holds"),
        ("Trades a year, adoption window", "90", "at least 80", "holds"),
        ("Probability that the true Sharpe ratio is above 0", "0.970", "at least 0.950", "holds"),
    )
    assert [(fact.value, fact.beside, fact.tone) for fact in report.facts[:2]] == [
        ("1.60", "limit: above 1.20", "good"),
        ("2.1%", "limit: below 12.0%", "good"),
    ]
    assert table(report, "verdict", "Every other limit of the policy").rows == (("overfitting.blocks", "12"),)
    assert table(report, "verdict", "Every other number of the verdict").rows == (("deflated_sharpe", "not computed"),)


def test_a_missed_limit_is_marked(tmp_path: Path) -> None:
    report = report_of(tmp_path, n_trades=5)
    assert report.status == "rejected"
    missed = [row[0] for row in table(report, "verdict", "Absolute limits").rows if row[3] == "missed"]
    assert missed == ["Trades a year, adoption window"]
    assert [fact.name for fact in report.facts if fact.tone == "bad"] == ["Trades a year"]


def test_numbers_that_allow_for_the_tries_stand_beside_theirs(material: Material) -> None:
    evidence = {
        "search": {"probability": 0.9},
        "adoption": {"probability": 0.4},
        "overfitting": {"probability": 0.2, "loss_probability": float("nan")},
    }
    limits = {"deflated_sharpe": {"search_min": 0.0, "adoption_min": 0.5}, "overfitting": {"probability_max": 1.0}}
    verdict = {**material.verdict, "evidence": evidence, "limits": {**material.verdict["limits"], **limits}}
    rows = table(compose(replace(material, verdict=verdict)), "verdict", "Absolute limits").rows
    assert [row[1:] for row in rows[4:]] == [
        ("0.900", "none, reported only", "reported"),
        ("0.400", "at least 0.500", "missed"),
        ("0.200", "none, reported only", "reported"),
        ("not computed", "no limit recorded", "not computed"),
    ]


def test_both_sides_of_a_comparison_are_shown(material: Material) -> None:
    numbers: dict[str, float] = {"sharpe": 1.6, "max_drawdown": 0.02, "annual_return": 0.1, "trades_per_year": 90.0}
    paired = {"difference": 0.2, "low": -0.1, "high": 0.5, "answer": "not_worse"}
    comparison = {
        "deployed_version": "20230101_0000_aaaaaaaa",
        "deployed": {**numbers, "sharpe": 1.4},
        "challenger": numbers,
        "span": "2023-06-01 to 2024-06-01",
        "paired": paired,
    }
    limits = {"sharpe_ratio_to_deployed_min": 0.95, "max_drawdown_above_deployed": 0.03}
    verdict = {**material.verdict, "comparison": comparison, "limits": {**material.verdict["limits"], **limits}}
    found = table(compose(replace(material, verdict=verdict)), "verdict", "Against the deployed model")
    assert found.rows[0] == ("Sharpe ratio", "1.60", "1.40", "at least 0.95 × the deployed", "holds")
    assert [row[4] for row in found.rows] == ["holds", "holds", "–", "–"]
    assert "Sharpe difference +0.20 (−0.10 to +0.50): not worse." in found.text

    worse = {**comparison, "challenger": {**numbers, "sharpe": 1.32, "max_drawdown": 0.051}}
    unproven = {**worse, "paired": {**paired, "answer": "unproven"}}
    decides = {**verdict["limits"], "paired": {"unproven_decides": "approve"}}
    changed = {**verdict, "comparison": unproven, "limits": decides}
    found = table(compose(replace(material, verdict=changed)), "verdict", "Against the deployed model")
    assert [row[4] for row in found.rows] == ["missed", "missed", "–", "–"]
    assert found.text.endswith("unproven. What the policy does with unproven: approve.")


def test_it_is_said_why_nothing_is_compared(report: Report) -> None:
    absent = table(report, "verdict", "Against the deployed model").absent
    assert absent == "Not compared: no model is deployed, so there is none to compare with."


def test_stress_says_where_each_edge_dies(report: Report) -> None:
    rows = {(row[0], row[1]): (row[2], row[6]) for row in table(report, "stress", "Scenarios").rows}
    assert rows["cost increase", "2"] == ("−0.20", "Sharpe reaches 0 at 1.7 ×")
    assert rows["latency", "1"] == ("1.10", "still alive at 32 ×")
    assert rows["unstressed", "–"] == ("1.60", "–")


def test_every_chart_and_section_is_explained(report: Report) -> None:
    assert [part.key for part in report.sections] == [
        *("verdict", "equity", "stress", "costs", "trades", "calibration", "theta", "labels", "importance", "leakage"),
        *("data", "provenance"),
    ]
    for part in report.sections:
        assert len(part.text) > 40, part.key
        for each in part.charts:
            assert each.draw is not None or each.absent, each.key
            assert each.text or each.draw is None, each.key


def test_money_stands_next_to_each_calibration_curve(report: Report) -> None:
    keys = [each.key for each in section(report, "calibration").charts]
    assert keys == ["calibration-ai1", "money-ai1", "calibration-ai2", "money-ai2"]


def test_the_leak_certificate_is_told_check_by_check(material: Material) -> None:
    told = section(compose(material), "leakage")
    assert (told.facts[0].value, told.facts[0].tone) == ("passed", "good")
    assert told.facts[0].beside == "3 of 3 checks hold, 1,203 comparisons"
    assert told.tables[0].rows[0] == ("windows final", COMPARED, "1,200", "holds")
    assert [row[0] for row in told.tables[0].rows] == ["windows final", "scalers", "theta window"]

    training, theta = material.certificates
    broken = {**theta, "checks": [{**theta["checks"][0], "passed": False, "found": "2 entries exit later"}]}
    told = section(compose(replace(material, certificates=(training, broken))), "leakage")
    assert (told.facts[0].value, told.facts[0].tone) == ("failed", "bad")
    assert told.tables[0].rows[-1][3] == "failed: 2 entries exit later"

    told = section(compose(replace(material, certificates=())), "leakage")
    assert (told.facts[0].value, told.facts[0].tone, told.tables[0].rows) == ("none made", "bad", ())


def test_starts_are_followed_to_positions_by_cause(report: Report) -> None:
    rows = table(report, "data", "From starts to positions").rows
    assert rows == (
        ("predicted out of sample", "620"),
        ("left out: outside hours", "20"),
        ("can be a position", "600"),
    )


def test_partitions_left_out_are_named_with_their_reason(report: Report) -> None:
    (row,) = table(report, "data", "Left out within the months used").rows
    assert row[1:] == ("2024-01", "filled share", "0.09", "0.05")
    assert table(report, "data", "Partitions left out, by reason").rows == (
        ("filled share", "1"),
        ("outside window", "1"),
    )


def test_provenance_names_the_whole_identity(report: Report) -> None:
    rows = {row[0]: row[1] for row in table(report, "provenance", "Identity of the run").rows}
    assert rows["data_hash"] == "da7a" * 16
    assert rows["code_hash"] == "c0de" * 10
    assert rows["config_hash"] == "c0f1" * 16
    assert rows["feature_schema_hash"] == "f" * 64
    assert rows["seed"] == "7"


def test_the_best_and_the_worst_trades_are_listed(report: Report) -> None:
    best, worst = (table(report, "trades", f"The {kind} trades").rows for kind in ("best", "worst"))
    assert len(best) == len(worst) == 10
    net = [float(row[9].replace("−", "-")) for row in (*best, *worst)]
    assert max(net) == net[0]
    assert min(net) == net[10]


def test_the_page_is_whole_and_needs_nothing_else(report: Report, page: str) -> None:
    drawn = sum(each.draw is not None for part in report.sections for each in part.charts)
    assert page.count("<svg ") == page.count("</svg>") == drawn >= 18
    assert "<script" not in page
    assert '<link rel="icon" href="data:,">' in page
    sources = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')>\s]+)', page)
    assert {source.split(",")[0] for source in sources if not source.startswith("#")} <= {
        "data:",
        "data:image/png;base64",
    }
    for svg in re.findall(r"<svg .*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)  # noqa: S314 - our own page


def test_words_of_a_run_are_escaped(tmp_path: Path) -> None:
    page = render_html(replace(report_of(tmp_path, n_trades=1), sections=()))
    assert "&lt;must rise&gt;" in page
    assert "<must rise>" not in page


def test_the_same_run_gives_the_same_bytes(context: TaskContext, report: Report) -> None:
    again = compose(read_material(context, context.run(VERSION), VERSION))
    one, two = (replace(each, sections=each.sections[:1] + each.sections[6:7]) for each in (report, again))
    assert render_html(one) == render_html(two)
    first = render_pdf(one)
    assert first == render_pdf(two)
    assert first.startswith(b"%PDF-")
    assert b"CreationDate" not in first


def test_the_pdf_sets_every_chapter_chart_and_table(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    drawn: list[str] = []
    set_text, place = Sheet.text, pdf._place

    def text(sheet: Sheet, x: float, y: float, said: str, size: float, **how: Any) -> None:
        written.append(said)
        set_text(sheet, x, y, said, size, **how)

    def placed(figure: Any, x: float, y: float, height: float, chart: Chart) -> None:
        drawn.extend([chart.key] if chart.draw is not None else [])
        place(figure, x, y, height, chart)

    monkeypatch.setattr(Sheet, "text", text)
    monkeypatch.setattr(pdf, "_place", placed)
    pages = re.findall(rb"/Type /Page\b", render_pdf(report))
    assert len(pages) >= 8
    titles = [part.title for part in report.sections]
    titles += [chart.title for part in report.sections for chart in part.charts]
    titles += [table.title for part in report.sections for table in part.tables]
    assert [title for title in titles if title not in written] == []
    assert drawn == [each.key for part in report.sections for each in part.charts if each.draw is not None]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"n_trades": 0}, "did not trade once"),
        ({"n_trades": 1}, "1 trade"),
        ({"n_trades": 0, "n_starts": 0}, "no out-of-sample start that could be traded"),
        ({"n_trades": 3, "n_starts": 11}, "3 trades"),
    ],
    ids=["no trade", "one trade", "no candidate", "few"],
)
def test_an_empty_run_states_its_outcome_and_never_a_nan(tmp_path: Path, kind: dict[str, int], said: str) -> None:
    report = report_of(tmp_path, **kind)
    assert said in words(report)
    assert "Not computed: the run has no stress results." in words(report)
    assert NOT_A_NUMBER.search(words(report)) is None
    page = render_html(report)
    assert NOT_A_NUMBER.search(re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)) is None
    if kind["n_trades"] < 2:
        assert render_pdf(report).startswith(b"%PDF-")


def test_without_a_surface_the_trials_are_drawn_and_it_is_said(tmp_path: Path, report: Report) -> None:
    assert "not computed" not in chart(report, "theta-surface").text
    assert "not computed for this run" in chart(report_of(tmp_path, n_trades=2), "theta-surface").text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(float("nan")), "not computed"),
        (number(None), "not computed"),
        (number(-0.001), "0.00"),
        (number(-1234.5, ",.0f"), "−1,234"),
        (share(0.125), "12.5%"),
        (span(-1.0, 2.0, ".1f"), "−1.0 to 2.0"),
        (span(1.0, float("inf")), "not computed"),
    ],
)
def test_how_numbers_are_written(written: str, expected: str) -> None:
    assert written == expected
