"""The button "Report" of a task: the page of a gate, green or red, or of a judged model."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Any, Final

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operatorlink import BaseOperatorLink

PREFIX: Final = "/reports"


def report_address(report: str | None, archive: str | None) -> str:
    """Where the API server serves a report (dags/plugins/reports.py); empty without one.

    Args:
        report: path of its page, absolute or relative to the archive.
        archive: absolute folder of the archive.
    """
    if report is None:
        return ""
    path = PurePosixPath(report)
    if path.is_absolute():
        if archive is None or not path.is_relative_to(archive):
            return ""
        path = path.relative_to(archive)
    return f"{PREFIX}/{path}"


class ReportLink(BaseOperatorLink):
    """Known once the task has ended, however it ended."""

    @property
    def name(self) -> str:
        return "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return report_address(getattr(operator, "report", None), os.environ.get("ARCHIVE_PATH"))
