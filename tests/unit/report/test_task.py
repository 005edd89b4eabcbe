"""The task: what it writes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import BlockedError, InputError
from tasks.context import TaskContext
from tasks.evidence import stating_blocked
from tasks.report import read_material, report_run
from tests.unit.report.judged import VERSION, context_of, write_run


def test_a_rejected_model_has_its_report(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    run = write_run(context, n_trades=0, n_starts=0)
    result = report_run(context, VERSION, VERSION)
    assert result.outputs["status"] == "rejected"
    assert result.outputs["report"] == str(run.report_page)
    assert 'class="verdict rejected"' in run.report_page.read_text(encoding="utf-8")
    assert run.report_pdf.read_bytes().startswith(b"%PDF-")
    assert sorted(path.name for path in run.report_page.parent.iterdir()) == ["report.html", "report.pdf"]


def test_a_run_without_a_verdict_is_refused_and_says_what_to_run(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    run = write_run(context, n_trades=1)
    run.verdict.unlink()
    with pytest.raises(InputError, match=r"verdict\.json is not there.*run the task that writes it first"):
        report_run(context, VERSION, VERSION)
    assert not run.report_page.exists()


def test_a_blocked_run_is_refused_with_its_reasons(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    run = write_run(context, n_trades=1)
    with pytest.raises(BlockedError), stating_blocked(run, VERSION):
        raise BlockedError("ADOPTION_WINDOW_SHORT", "it holds 20 days", where="here", remedy="import more")
    with pytest.raises(InputError, match=r"REPORT_RUN_BLOCKED.*ADOPTION_WINDOW_SHORT: it holds 20 days"):
        report_run(context, VERSION, VERSION)
    assert not run.report_page.exists()


def test_a_configuration_of_other_pairs_is_refused(context: TaskContext) -> None:
    universe = context.settings.universe
    other = universe.model_copy(update={"pairs": universe.pairs[1:]})
    settings = context.settings.model_copy(update={"universe": other})
    with pytest.raises(InputError, match=rf"REPORT_INPUT_PAIR.*traded {universe.pairs[0].id},"):
        read_material(replace(context, settings=settings), context.run(VERSION), VERSION)


def test_another_version_is_refused(context: TaskContext) -> None:
    with pytest.raises(InputError, match="RUN_INPUT_VERSION"):
        report_run(context, VERSION, "20240601_0000_ffffffff")
