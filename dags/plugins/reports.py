"""Airflow plugin (`[core] plugins_folder`): the button "Report", and the reports behind it on the API server."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from airflow.plugins_manager import AirflowPlugin

from core.config.environment_variables import BACKEND, read_required, read_service_environment
from core.config.loader import load_settings
from dags.factory.report_link import PREFIX, ReportLink

FOLDERS: Final = ("gates/", "report/")
"""What of a run's folder is shown."""
_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_OWN_ORIGIN: Final = {"Content-Security-Policy": "sandbox allow-scripts allow-popups", "Referrer-Policy": "no-referrer"}
"""A page may run its own scripts, yet not act as the person who reads it."""
_SERVED: Final = {
    ".html": ("text/html; charset=utf-8", _OWN_ORIGIN),
    ".json": ("application/json", _OWN_ORIGIN),
    ".png": ("image/png", _OWN_ORIGIN),
    ".svg": ("image/svg+xml", _OWN_ORIGIN),
    ".pdf": ("application/pdf", {}),  # a browser's reader does not open in a sandbox
}


@cache
def _archive_and_runs() -> tuple[Path, str]:
    """Folder of the archive, and of the runs below it. Raises ConfigurationError where the environment names none."""
    settings = load_settings(Path(read_required("CONFIG_ROOT", os.environ)), read_service_environment(os.environ))
    return Path(read_required("ARCHIVE_PATH", os.environ)), settings.ml_core_storage.runs_root


def find_report(archive: Path, runs_root: str, path: str) -> Path | None:
    """The file of a report, None where `path` (below the archive) names none or leads elsewhere.

    Only files below {runs_root}/{run}/gates/ and …/report/, with an ending of `_SERVED`, are reports.
    """
    run, _, inside = path.removeprefix(f"{runs_root}/").partition("/")
    if not path.startswith(f"{runs_root}/") or not _RUN.fullmatch(run) or "\0" in inside:
        return None
    folder = (archive / runs_root).resolve() / run
    file = (folder / inside).resolve()
    within = inside.startswith(FOLDERS) and file.is_relative_to(folder / inside.partition("/")[0])
    return file if within and file.suffix in _SERVED and file.is_file() else None


def absence(path: str, backend: str | None) -> str:
    """What is said where a report is not on this disk. With an object store it may be there."""
    if backend != "s3":
        return "there is no such report"
    folder = "/".join(path.split("/")[:3])
    command = f"docker exec STACK-watch entrypoint python -m tasks --trace-id=reports storage fetch {folder}"
    return f"this report lies in the object store; once fetched it is here: {command}"


def make_app() -> Any:
    """Serves GET {PREFIX}/{runs_root}/{run}/gates/… and …/report/… to those who may read the flows."""
    from airflow.api_fastapi.core_api.security import requires_access_dag  # noqa: PLC0415 - the API server's only
    from fastapi import Depends, FastAPI, HTTPException  # noqa: PLC0415
    from fastapi.responses import FileResponse  # noqa: PLC0415

    app = FastAPI(title="Reports", docs_url=None, redoc_url=None, openapi_url=None)
    readers = Depends(requires_access_dag("GET"))

    @app.get("/{path:path}", dependencies=[readers], response_model=None)
    def report(path: str) -> Any:
        file = find_report(*_archive_and_runs(), path)
        if file is None:
            raise HTTPException(404, absence(path, os.environ.get(BACKEND)))
        kind, headers = _SERVED[file.suffix]
        return FileResponse(file, media_type=kind, headers={"X-Content-Type-Options": "nosniff", **headers})

    return app


class Reports(AirflowPlugin):
    """Found by Airflow in the plugins folder."""

    name = "reports"
    operator_extra_links = [ReportLink()]  # noqa: RUF012 - Airflow's own form

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """Made only where it is asked for: the API server. Other components never import it."""
        return [{"name": "reports", "app": make_app(), "url_prefix": PREFIX}]
