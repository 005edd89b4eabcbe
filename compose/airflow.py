"""Airflow's REST API, as far as starting and triggering need it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from core.errors import InputError, TransientError

TIMEOUT_SECONDS: Final = 20


@dataclass
class Airflow:
    """A client of one Airflow, logged in by password."""

    address: str
    user: str
    password: str = field(repr=False)
    _token: str = field(default="", repr=False)

    def healthy(self) -> bool:
        """Whether database, scheduler, DAG processor and triggerer are well."""
        try:
            health = self._call("GET", "/api/v2/monitor/health", None, {})
        except TransientError:
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all(health[part]["status"] == "healthy" for part in parts)

    def get(self, path: str) -> dict[str, Any]:
        """Raises TransientError where Airflow does not answer, InputError where it refuses."""
        return self._call("GET", f"/api/v2{path}", None, self._authorisation())

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `get`."""
        return self._call("POST", f"/api/v2{path}", body, self._authorisation())

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `get`."""
        return self._call("PATCH", f"/api/v2{path}", body, self._authorisation())

    def page(self, address: str) -> str:
        """A page of the API server, as text. As `get`."""
        return self._open("GET", address, None, self._authorisation()).decode()

    def _authorisation(self) -> dict[str, str]:
        if not self._token:
            credentials = {"username": self.user, "password": self.password}
            self._token = str(self._call("POST", "/auth/token", credentials, {})["access_token"])
        return {"Authorization": f"Bearer {self._token}"}

    def _call(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._open(method, self.address + path, body, headers))
        return content

    def _open(self, method: str, address: str, body: dict[str, Any] | None, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - http://127.0.0.1
            address,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={**headers, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:500]
            raise InputError(
                "COMPOSE_AIRFLOW_REFUSED",
                f"Airflow answers {error.code}: {said}",
                where=f"{method} {address}",
                remedy="mend what the answer names; `make logs SERVICE=api-server` shows the rest",
            ) from error
        except OSError as error:
            raise TransientError(
                "COMPOSE_AIRFLOW_UNREACHABLE",
                f"Airflow does not answer: {error}",
                where=self.address,
                remedy="start it with `make up`, or look at `make logs SERVICE=api-server`",
            ) from error
