"""One run of each kind, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.report.compose import compose
from core.report.document import Report
from core.report.html import render_html
from core.report.material import Material
from tasks.context import TaskContext
from tasks.report import read_material
from tests.unit.report.judged import VERSION, context_of, write_run


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> TaskContext:
    """A run with trades, stress results and the θ surface."""
    context = context_of(tmp_path_factory.mktemp("archive"))
    write_run(context, stress=True, surface=True)
    return context


@pytest.fixture(scope="session")
def material(context: TaskContext) -> Material:
    return read_material(context, context.run(VERSION), VERSION)


@pytest.fixture(scope="session")
def report(material: Material) -> Report:
    return compose(material)


@pytest.fixture(scope="session")
def page(report: Report) -> str:
    return render_html(report)


def report_of(folder: Path, *, n_trades: int, n_starts: int = 600) -> Report:
    """The report of a run of another kind."""
    context = context_of(folder)
    run = write_run(context, n_trades=n_trades, n_starts=n_starts)
    return compose(read_material(context, run, VERSION))
