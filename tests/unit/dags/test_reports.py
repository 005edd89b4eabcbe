"""The reports on Airflow's API server: what is served, to whom, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.factory.report_link import report_address
from dags.plugins import reports
from tests.unit.dags.conftest import PROCESS

RUN = "20240101_0000_0123abcd"
GATE = f"runs/{RUN}/gates/index/index.html"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name, content in {
        GATE: "<html>gate</html>",
        f"runs/{RUN}/report/report.html": "<html>report</html>",
        f"runs/{RUN}/report/report.pdf": "%PDF-",
        f"runs/{RUN}/report/model.pkl": "no report",
        f"runs/{RUN}/run.json": "{}",
        f"runs/{RUN}/theta/verdict.json": "{}",
        "keys/signing.pem": "secret",
        "keys/gates/signing.html": "secret",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / f"runs/{RUN}/gates/link.html").symlink_to(tmp_path / "keys/signing.pem")
    (tmp_path / "runs/other").mkdir()
    (tmp_path / "runs/other/gates").symlink_to(tmp_path / "keys/gates")
    return tmp_path


@pytest.mark.parametrize("name", [GATE, f"runs/{RUN}/report/report.html", f"runs/{RUN}/report/report.pdf"])
def test_gates_and_reports_are_found(archive: Path, name: str) -> None:
    assert reports.find_report(archive, "runs", name) == archive / name


@pytest.mark.parametrize(
    "name",
    [
        f"runs/{RUN}/run.json",
        f"runs/{RUN}/theta/verdict.json",
        f"runs/{RUN}/report/model.pkl",
        f"runs/{RUN}/gates/../run.json",
        f"runs/{RUN}/gates/../../../keys/signing.pem",
        f"runs/{RUN}/gates/link.html",
        "runs/other/gates/signing.html",
        "runs/../keys/gates/signing.html",
        "keys/signing.pem",
        f"runs/{RUN}/gates",
        f"runs/{RUN}/gates/",
        f"/runs/{RUN}/gates/index/index.html",
        f"runs/{RUN}/gates/\0.html",
        "",
    ],
)
def test_nothing_else_of_the_archive_is(archive: Path, name: str) -> None:
    assert reports.find_report(archive, "runs", name) is None


@given(st.lists(st.sampled_from(["runs", "..", ".", "", RUN, "gates", "report", "keys", "index.html", "link.html"])))
def test_no_path_leads_out_of_the_reports(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    archive = tmp_path_factory.getbasetemp() / "paths"
    for name in (GATE, "keys/index.html", f"runs/{RUN}/index.html"):
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).touch()
    found = reports.find_report(archive, "runs", "/".join(parts))
    assert found in {None, archive / GATE} or found.is_relative_to(archive / f"runs/{RUN}/gates")


@pytest.mark.parametrize(
    ("report", "address"),
    [
        (GATE, f"/reports/{GATE}"),
        (f"/srv/archive/{GATE}", f"/reports/{GATE}"),
        (f"/elsewhere/{GATE}", ""),
        (None, ""),
    ],
)
def test_a_report_has_one_address_however_the_task_named_it(report: str | None, address: str) -> None:
    assert report_address(report, "/srv/archive") == address


@pytest.fixture
def client(archive: Path, airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The plugin's application as Airflow loads it, behind Airflow's simple auth manager."""
    from airflow import plugins_manager
    from airflow.api_fastapi.app import create_auth_manager, purge_cached_app
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    for name, value in {**PROCESS, "ARCHIVE_PATH": str(archive)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of this test, long enough for HS512 " * 2)
    reports._archive_and_runs.cache_clear()
    plugins_manager._get_plugins.cache_clear()
    plugins_manager.get_fastapi_plugins.cache_clear()
    apps, _ = plugins_manager.get_fastapi_plugins()
    server = FastAPI()
    for each in apps:
        server.mount(each["url_prefix"], each["app"])
    purge_cached_app()
    create_auth_manager().init()
    with TestClient(server) as made:
        yield made
    plugins_manager._get_plugins.cache_clear()
    plugins_manager.get_fastapi_plugins.cache_clear()


def log_in(client: Any, role: str | None) -> None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="olga", role=role))
    client.cookies.set("_token", token)


def test_only_who_may_read_the_flows_sees_reports(client: Any) -> None:
    assert client.get(f"/reports/{GATE}").status_code == 401
    log_in(client, None)
    assert client.get(f"/reports/{GATE}").status_code == 403
    log_in(client, "VIEWER")
    page = client.get(f"/reports/{GATE}")
    assert (page.status_code, page.text) == (200, "<html>gate</html>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in page.headers["content-security-policy"]
    pdf = client.get(f"/reports/runs/{RUN}/report/report.pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    for name in (f"runs/{RUN}/run.json", f"runs/{RUN}/gates/%2e%2e/run.json", "keys/signing.pem"):
        assert client.get(f"/reports/{name}").status_code == 404
    assert client.post(f"/reports/{GATE}").status_code == 405


def test_a_report_in_the_object_store_is_said_to_be_there(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(client, "VIEWER")
    missing = f"/reports/runs/{RUN}/gates/features/index.html"
    assert client.get(missing).json() == {"detail": "there is no such report"}
    monkeypatch.setenv("STORAGE_BACKEND", "s3")
    assert client.get(missing).json()["detail"].endswith(f"storage fetch runs/{RUN}/gates")
    assert client.get(f"/reports/{GATE}").status_code == 200
