"""Airflow's REST API where it does not answer as it should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compose.airflow import Airflow
from core.errors import InputError, TransientError
from tests.unit.compose.stand_ins import AirflowServer, Flow

PASSWORD = "a-long-enough-password"  # noqa: S105


@pytest.fixture
def server() -> Iterator[AirflowServer]:
    with AirflowServer(PASSWORD, {"core_retrain_flow": Flow()}) as made:
        yield made


@pytest.fixture
def airflow(server: AirflowServer) -> Airflow:
    return Airflow(f"http://127.0.0.1:{server.port}", "operator", PASSWORD)


def test_one_login_serves_many_questions(server: AirflowServer, airflow: Airflow) -> None:
    for _ in range(3):
        assert airflow.get("/dags/core_retrain_flow") == {"is_paused": False}
    assert server.logins == 1


def test_a_token_that_has_run_out_is_renewed(server: AirflowServer, airflow: Airflow) -> None:
    airflow.get("/dags/core_retrain_flow")
    server.token = "another"  # noqa: S105
    assert airflow.get("/dags/core_retrain_flow") == {"is_paused": False}
    assert server.logins == 2


def test_who_may_not_log_in_is_told_once(server: AirflowServer) -> None:
    with pytest.raises(InputError, match="401"):
        Airflow(f"http://127.0.0.1:{server.port}", "operator", "wrong").get("/dags/core_retrain_flow")
    assert server.logins == 1


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "Internal Server Error"),
        (503, "{}"),
        (200, "<html>starting</html>"),
        (0, "no HTTP at all\r\n\r\n"),
        (0, ""),
    ],
    ids=["error", "unavailable", "no JSON", "no HTTP", "hung up"],
)
def test_a_server_that_fails_is_worth_another_try(
    server: AirflowServer, airflow: Airflow, status: int, text: str
) -> None:
    airflow.get("/dags/core_retrain_flow")
    server.instead = [(status, text)] * 2
    with pytest.raises(TransientError, match="COMPOSE_AIRFLOW_UNREACHABLE"):
        airflow.get("/dags/core_retrain_flow")
    assert not airflow.healthy()
    assert airflow.healthy()


def test_a_proxy_of_the_environment_is_passed_by(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert airflow.healthy()


def test_no_password_shows_where_the_client_is_shown(airflow: Airflow) -> None:
    airflow.get("/dags/core_retrain_flow")
    assert PASSWORD not in repr(airflow)
    assert "token" not in repr(airflow)
