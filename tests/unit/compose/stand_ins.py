"""Stand-ins for the engine's commands and for Airflow's REST API, as far as `python -m compose` uses them."""

from __future__ import annotations

import json
import re
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_PROGRAM = """#!{python} -IS
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
words = " ".join([Path(__file__).name, *sys.argv[1:]])
with (here / "calls").open("a") as file:
    file.write(words + "\\n")
with (here / "environments").open("a") as file:
    file.write(json.dumps(dict(os.environ)) + "\\n")
for start, output, error, code in json.loads((here / "answers.json").read_text()):
    if words.startswith(start):
        sys.stdout.write(output)
        sys.stderr.write(error)
        sys.exit(code)
"""


class Engine:
    """`docker` and `docker-compose` as programs in a folder; what they were called with, and what they say to it."""

    def __init__(self, folder: Path, *programs: str) -> None:
        folder.mkdir()
        self.folder = folder
        for name in programs:
            (folder / name).write_text(_PROGRAM.format(python=sys.executable), encoding="utf-8")
            (folder / name).chmod(0o755)
        self._answers: list[tuple[str, str, str, int]] = []
        self._write()

    def says(self, start: str, output: str = "", *, error: str = "", code: int = 0) -> Self:
        """Answer calls that start with these words; the first that fits counts, a call that fits none says nothing."""
        self._answers.append((start, output, error, code))
        self._write()
        return self

    def holds(self, *containers: dict[str, Any]) -> Self:
        """Answer `docker ps` and `docker inspect` with these containers of services."""
        ids = "".join(f"{index}\n" for index in range(len(containers)))
        return self.says("docker ps --all --quiet --filter label=com.docker.compose.project=", ids).says(
            "docker inspect", json.dumps(containers)
        )

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def environment(self, call: str) -> dict[str, str]:
        """The variables a call was given."""
        lines = (self.folder / "environments").read_text(encoding="utf-8").splitlines()
        found: dict[str, str] = json.loads(lines[self.calls.index(call)])
        return found

    def _write(self) -> None:
        (self.folder / "answers.json").write_text(json.dumps(self._answers), encoding="utf-8")


def container(service: str, status: str = "running", health: str | None = None, code: int = 0) -> dict[str, Any]:
    """As `docker inspect` describes a service's container."""
    state: dict[str, Any] = {"Status": status, "ExitCode": code}
    if health is not None:
        state["Health"] = {"Status": health, "FailingStreak": 0}
    return {"Id": f"id-{service}", "Config": {"Labels": {"com.docker.compose.service": service}}, "State": state}


@dataclass
class Flow:
    """A flow: the states its run goes through, one a look; none, where no run of it is ever started."""

    states: list[str] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    left: dict[tuple[str, int, str], dict[str, Any]] = field(default_factory=dict)
    paused: bool = False

    def task(self, name: str, state: str, part: int = -1, **left: dict[str, Any]) -> Self:
        """Add a task, or a part of one, with what it handed on by key."""
        self.tasks.append({"task_id": name, "map_index": part, "state": state, "duration": 1.5})
        self.left |= {(name, part, key): value for key, value in left.items()}
        return self


class AirflowServer:
    """Serves on 127.0.0.1 within a `with` block. Only who logged in is answered."""

    def __init__(self, password: str, flows: dict[str, Flow] | None = None) -> None:
        self.password, self.flows = password, flows or {}
        self.token, self.logins = "token", 0
        self.instead: list[tuple[int, str]] = []
        """Given to the next requests instead of an answer: status and body."""
        self.outages: dict[str, int] = {}
        """So many requests whose address holds these words are answered with 503."""
        self.run: str | None = None
        self.conf: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/auth/token":
            known = body["password"] == self.password
            self.logins += 1
            return (201, {"access_token": self.token}) if known else (401, {"detail": "Invalid credentials"})
        flow = path.split("/")[4]
        if flow not in self.flows:
            return 404, {"detail": f"The Dag with ID: `{flow}` was not found"}
        self.run, self.conf = body["dag_run_id"], body["conf"]
        return 200, {"dag_run_id": self.run, "state": "queued"}

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if path == "/api/v2/monitor/health":
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return 200, {part: {"status": "healthy"} for part in parts}
        if path == "/api/v2/dags":
            return 200, {"dags": [{"dag_id": name} for name in self.flows]}
        found = re.fullmatch(r"/api/v2/dags/(?P<flow>\w+)(/dagRuns(?P<rest>.*))?", path)
        flow = self.flows.get(found["flow"]) if found else None
        if found is None or flow is None:
            return 404, {"detail": "not found"}
        rest = found["rest"]
        if rest is None:
            return 200, {"is_paused": flow.paused}
        if rest == "":
            return 200, {"dag_runs": self._runs(flow)}
        return self._of_run(flow, rest.removeprefix(f"/{self.run}/taskInstances"), query)

    def _runs(self, flow: Flow) -> list[dict[str, Any]]:
        if not flow.states or self.run is None:
            return []
        state = flow.states.pop(0) if len(flow.states) > 1 else flow.states[0]
        if state == "deleted":
            return []
        return [{"dag_run_id": "an-older-run", "state": "failed"}, {"dag_run_id": self.run, "state": state}]

    def _of_run(self, flow: Flow, rest: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if rest == "":
            return 200, {"task_instances": flow.tasks}
        if rest == "/~/xcomEntries":
            entries = [{"task_id": task, "map_index": part, "key": key} for task, part, key in flow.left]
            return 200, {"xcom_entries": [entry for entry in entries if entry["key"] == query["xcom_key"][0]]}
        _, task, _, key = rest.split("/")
        value = flow.left.get((task, int(query["map_index"][0]), key))
        return (404, {"detail": "no such entry"}) if value is None else (200, {"value": json.dumps(value)})


def _handler(server: AirflowServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path)
            known = path.path.endswith("/health") or self.headers["Authorization"] == f"Bearer {server.token}"
            for words in [words for words, left in server.outages.items() if left and words in self.path]:
                server.outages[words] -= 1
                self._send(503, {"detail": "away"})
                return
            self._send(*(server.get(path.path, parse_qs(path.query)) if known else (401, {"detail": "log in"})))

        def do_POST(self) -> None:
            self._send(*server.post(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _send(self, status: int, content: Any) -> None:
            status, text = server.instead.pop(0) if server.instead else (status, json.dumps(content))
            if status < 100:
                self.wfile.write(text.encode())
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    return Handler
