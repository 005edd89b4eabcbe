"""Airflow's REST API, as far as starting and triggering need it."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from core.errors import InputError, TransientError

TIMEOUT_SECONDS: Final = 20
_UNAUTHORIZED: Final = 401
_SERVER_ERROR: Final = 500
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past any proxy of the environment: Airflow is on this machine."""


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
        return self._authorised("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `get`."""
        return self._authorised("POST", path, body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `get`."""
        return self._authorised("PATCH", path, body)

    def page(self, address: str) -> str:
        """A page of the API server, as text. As `get`."""
        return self._open("GET", address, None, self._authorisation()).decode()

    def _authorised(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Log in again where the token has run out: a chain that waits for a person outlives it."""
        held = self._token
        try:
            return self._call(method, f"/api/v2{path}", body, self._authorisation())
        except InputError as error:
            cause = error.__cause__
            if not held or not isinstance(cause, urllib.error.HTTPError) or cause.code != _UNAUTHORIZED:
                raise
        self._token = ""
        return self._call(method, f"/api/v2{path}", body, self._authorisation())

    def _authorisation(self) -> dict[str, str]:
        if not self._token:
            credentials = {"username": self.user, "password": self.password}
            self._token = str(self._call("POST", "/auth/token", credentials, {})["access_token"])
        return {"Authorization": f"Bearer {self._token}"}

    def _call(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> dict[str, Any]:
        answer = self._open(method, self.address + path, body, headers)
        try:
            content: dict[str, Any] = json.loads(answer)
        except ValueError as error:
            raise self._unreachable(error) from error
        return content

    def _open(self, method: str, address: str, body: dict[str, Any] | None, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - http://127.0.0.1
            address,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={**headers, "Content-Type": "application/json"},
        )
        try:
            with _DIRECT.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code >= _SERVER_ERROR:
                raise self._unreachable(error) from error
            said = error.read().decode(errors="replace")[:500]
            raise InputError(
                "COMPOSE_AIRFLOW_REFUSED",
                f"Airflow answers {error.code}: {said}",
                where=f"{method} {address}",
                remedy="mend what the answer names; `make logs SERVICE=api-server` shows the rest",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> TransientError:
        return TransientError(
            "COMPOSE_AIRFLOW_UNREACHABLE",
            f"Airflow does not answer: {error}",
            where=self.address,
            remedy="start it with `make up`, or look at `make logs SERVICE=api-server`",
        )
