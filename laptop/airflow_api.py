"""Airflow's REST API, as far as following a chain needs it."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from core.errors import TransientError

_TIMEOUT_SECONDS: Final = 20.0
_NOT_FOUND: Final = 404
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True)
class TaskState:
    """One task of a flow's run, or one part of a mapped one; `part` is -1 where there are no parts. Times are UTC."""

    task: str
    part: int
    state: str | None
    attempt: int
    started: datetime.datetime | None
    ended: datetime.datetime | None


class AirflowApi:
    """A client of one Airflow, logged in by password.

    Every method raises TransientError where Airflow does not answer or refuses.
    """

    def __init__(self, address: str, user: str, password: str) -> None:
        self._credentials = {"username": user, "password": password}
        self._client = httpx.Client(base_url=address, timeout=_TIMEOUT_SECONDS, trust_env=False)
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._client.close()

    def healthy(self, execution: str) -> bool:
        """Whether this API and the execution API (its health address) answer, and scheduler and DAG processor beat."""
        try:
            self._client.get(execution).raise_for_status()  # its first answer builds the API, which takes seconds
            health = self._client.get("/api/v2/monitor/health", timeout=2.0).raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def parsed_since(self, dag_ids: list[str], moment: datetime.datetime) -> bool:
        """Whether all of the flows were read from their files after `moment`."""
        dags = self._get("/dags", dag_id_pattern="core_", limit=100)["dags"]
        parsed = {dag["dag_id"]: _time(dag["last_parsed_time"]) for dag in dags}
        return all((at := parsed.get(dag_id)) is not None and at >= moment for dag_id in dag_ids)

    def import_errors(self) -> list[str]:
        """Why DAG files could not be read."""
        return [error["stack_trace"] for error in self._get("/importErrors")["import_errors"]]

    def unpause(self, dag_id: str) -> None:
        """Let the flow's runs be scheduled."""
        self._request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def fail_unfinished_runs(self, dag_id: str) -> int:
        """End runs that a killed stack left queued or running; returns how many."""
        runs = self._get(f"/dags/{dag_id}/dagRuns", state=["queued", "running"], limit=100)["dag_runs"]
        for run in runs:
            path = f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}"
            self._request("PATCH", path, json={"state": "failed", "note": "left unfinished by a stack that ended"})
        return len(runs)

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        """Start a run of the flow. It has no logical date."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self._request("POST", f"/dags/{dag_id}/dagRuns", json=body)

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """State of a run, None where there is none yet."""
        answer = self._find(f"/dags/{dag_id}/dagRuns/{run_id}")
        return None if answer is None else str(answer["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        """Every task of a run; none where there is no run yet."""
        answer = self._find(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return [
            TaskState(
                task=item["task_id"],
                part=item["map_index"],
                state=item["state"],
                attempt=item["try_number"],
                started=_time(item["start_date"]),
                ended=_time(item["end_date"]),
            )
            for item in (answer or {"task_instances": []})["task_instances"]
        ]

    def pushed(self, dag_id: str, run_id: str, task: str, key: str, part: int) -> dict[str, Any] | None:
        """The JSON object a task, or a part of it, pushed under `key`; None where it pushed none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/{key}"
        answer = self._find(path, map_index=part)
        if answer is None or answer["value"] is None:
            return None
        value = answer["value"]
        content = json.loads(value) if isinstance(value, str) else value
        return content if isinstance(content, dict) else None

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._decoded(self._request("GET", path, params=query))

    def _find(self, path: str, **query: Any) -> dict[str, Any] | None:
        answer = self._request("GET", path, accepted=(_NOT_FOUND,), params=query)
        return None if answer.status_code == _NOT_FOUND else self._decoded(answer)

    def _decoded(self, answer: httpx.Response) -> dict[str, Any]:
        content = answer.json()
        if not isinstance(content, dict):
            raise TypeError(f"Airflow answered {answer.request.url} with no object")
        return content

    def _request(self, method: str, path: str, accepted: tuple[int, ...] = (), **fields: Any) -> httpx.Response:
        try:
            answer = self._send(method, path, **fields)
            if answer.status_code == _UNAUTHORIZED:
                self._token = None
                answer = self._send(method, path, **fields)
            return answer if answer.status_code in accepted else answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise self._failure(f"{error.response.status_code} {error.response.text[:500]}", path) from error
        except httpx.HTTPError as error:
            raise self._failure(str(error) or type(error).__name__, path) from error

    def _send(self, method: str, path: str, **fields: Any) -> httpx.Response:
        if self._token is None:
            answer = self._client.post("/auth/token", json=self._credentials).raise_for_status()
            self._token = str(answer.json()["access_token"])
        return self._client.request(
            method, f"/api/v2{path}", headers={"Authorization": f"Bearer {self._token}"}, **fields
        )

    def _failure(self, reason: str, path: str) -> TransientError:
        return TransientError(
            "LAPTOP_AIRFLOW_UNREACHABLE",
            f"Airflow's API did not do what it was asked: {reason}",
            where=path,
            remedy="look into the state folder's logs/airflow.log, then run again",
        )


def _time(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)
