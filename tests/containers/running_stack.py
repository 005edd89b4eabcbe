"""A stack of containers as a test drives it: `make up`, Airflow's REST API, the engine's command line."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from compose.airflow import Airflow
from compose.engine import TASK_LABEL
from compose.stack import REPOSITORY
from compose.trigger import CHAIN
from core.errors import CoreError
from laptop.stack import free_ports

POLL_SECONDS: Final = 0.5
READING_SECONDS: Final = 8.0
T = TypeVar("T")
ENDED: Final = frozenset({"success", "failed"})


def engine(*words: str, check: bool = True, given: str | None = None) -> str:
    """Run ``docker …``, `given` on its standard input; its standard output."""
    done = subprocess.run(["docker", *words], input=given, capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, f"docker {' '.join(words[:4])}: {done.stderr[-2000:]}"
    return done.stdout.strip()


def until(what: str, look: Callable[[], T | None], seconds: float) -> T:
    """What `look` finds, once it finds something. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(POLL_SECONDS)


@dataclass
class RunningStack:
    """One stack under a name of its own. `config` is its configuration tree, None for the product's own."""

    name: str
    config: Path | None = None
    scale: bool = False
    storage: str = "local"
    port: int = field(default_factory=lambda: free_ports(1)[0])
    metrics_port: int = field(default_factory=lambda: free_ports(1)[0])

    def make(self, target: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run a target of the Makefile for this stack, its variables those of an ordinary shell."""
        given = {"STACK": self.name, "PORT": self.port, "METRICS_PORT": self.metrics_port, "SCALE": int(self.scale)}
        given["STORAGE"] = self.storage
        words = [f"{name}={value}" for name, value in {**given, **settings}.items()]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(
            ["make", target, *words], cwd=REPOSITORY, env=kept, capture_output=True, text=True, check=False
        )

    def up(self) -> float:
        """`make up`; returns how many seconds it took."""
        started = time.monotonic()
        done = self.make("up", **({"CONFIG": self.config} if self.config else {}))
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return time.monotonic() - started

    def stop(self) -> None:
        """`make down`: the data stays."""
        done = self.make("down")
        assert done.returncode == 0, done.stderr[-4000:]

    def down(self) -> None:
        """`make down` with everything the stack wrote."""
        done = self.make("down", DELETE=1)
        assert done.returncode == 0, done.stderr[-4000:]

    def airflow(self, user: str = "operator") -> Airflow:
        """A client of its Airflow."""
        password = self.secret(f"airflow_{user}")
        return Airflow(f"http://127.0.0.1:{self.port}", user, password)

    def secret(self, name: str) -> str:
        return (REPOSITORY / ".stack" / self.name / "secrets" / name).read_text(encoding="utf-8").strip()

    def give(self, secrets: Mapping[str, str]) -> None:
        """Write secrets of other parties before the stack comes up."""
        for name, value in secrets.items():
            path = REPOSITORY / ".stack" / self.name / "secrets" / name
            path.write_text(value, encoding="utf-8")
            path.chmod(0o644)

    def container(self, service: str) -> str:
        """Id of a service's container."""
        found = engine("ps", "--all", "--quiet", *_labelled(self.name, service)).split()
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def trigger(self, run: str, **conf: object) -> None:
        """Start a chain under this id, which is its trace and the id of a run of every flow."""
        self.airflow().post(f"/dags/{CHAIN[0]}/dagRuns", {"dag_run_id": run, "logical_date": None, "conf": conf})

    def state(self, flow: str, run: str) -> str | None:
        """State of a flow's run; None while there is none, or while Airflow does not answer."""
        try:
            runs = self.airflow().get(f"/dags/{flow}/dagRuns?limit=100&order_by=-run_after")["dag_runs"]
        except CoreError:
            return None
        return next((str(each["state"]) for each in runs if each["dag_run_id"] == run), None)

    def ended(self, flow: str, run: str, seconds: float) -> str:
        """State in which the run ended."""

        def look() -> str | None:
            state = self.state(flow, run)
            return state if state in ENDED else None

        return until(f"the end of {flow} {run}: {self.told(flow, run)}", look, seconds)

    def finished(self, run: str, seconds: float, *, answer: str | None = None) -> None:
        """Wait until the whole chain ended well; where a person is asked, the approver gives this answer."""
        deadline = time.monotonic() + seconds
        for flow in CHAIN:
            if answer is not None and flow == CHAIN[-1]:
                self.answer(run, answer, seconds)
            state = self.ended(flow, run, max(1.0, deadline - time.monotonic()))
            assert state == "success", self.told(flow, run)

    def answer(self, run: str, answer: str, seconds: float, *, user: str = "approver", reason: str = "") -> None:
        """Answer what `approve` asks, as soon as a person could, or go on once nobody need be asked any more.

        Airflow's scheduler takes an answer of the first seconds, before it has noted that the task waits, for a second
        end of the task, which then asks again.
        """
        flow, body = CHAIN[-1], {"chosen_options": [answer], "params_input": {"reason": reason}}
        path = f"/dags/{flow}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"

        seen: list[float] = []

        def look() -> bool:
            states = {each["task_id"]: each["state"] for each in self.tasks(flow, run)} if self.state(flow, run) else {}
            if states.get("approve") == "awaiting_input":
                seen.append(time.monotonic())
                if seen[-1] - seen[0] < READING_SECONDS:
                    return False
                self.airflow(user).patch(path, body)
                return True
            return states.get("approve") in {"skipped", "success"} or "upstream_failed" in states.values()

        until(f"the question of {run}", look, seconds)

    def tasks(self, flow: str, run: str) -> list[dict[str, Any]]:
        """Every task instance of a run."""
        answer = self.airflow().get(f"/dags/{flow}/dagRuns/{run}/taskInstances?limit=100")
        return list(answer["task_instances"])

    def task(self, flow: str, run: str, task: str) -> dict[str, Any]:
        """The one instance of a task."""
        (found,) = [each for each in self.tasks(flow, run) if each["task_id"] == task]
        return found

    def told(self, flow: str, run: str) -> str:
        """Task states of a run, for a failed test's message."""
        try:
            tasks = self.tasks(flow, run)
        except CoreError as error:
            return str(error)
        states = ", ".join(f"{each['task_id']}={each['state']}" for each in tasks)
        failed = [each["task_id"] for each in tasks if each["state"] == "failed" and each["map_index"] < 0]
        return "\n".join([states, *(self.log(flow, run, task)[-3000:] for task in failed)])

    def handed_on(self, flow: str, run: str, task: str, key: str = "return_value") -> dict[str, Any]:
        """What a task handed on."""
        entry = self.airflow("admin").get(f"/dags/{flow}/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}")
        value = json.loads(entry["value"]) if isinstance(entry["value"], str) else entry["value"]
        return dict(value)

    def log(self, flow: str, run: str, task: str, attempt: int = 1) -> str:
        """A task's log as Airflow shows it."""
        answer = self.airflow("admin").get(f"/dags/{flow}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}")
        return json.dumps(answer["content"])

    def task_containers(self, run: str, task: str) -> list[str]:
        """Ids of the containers, running or not, of a task of a run."""
        listed = engine("ps", "--all", "--no-trunc", "--format", '{{.ID}} {{.Label "' + TASK_LABEL + '"}}')
        pairs = [line.split(" ", 1) for line in listed.splitlines()]
        return [pair[0] for pair in pairs if len(pair) == 2 and f"/{run}/{task}" in pair[1]]

    def started(self, run: str, task: str, seconds: float) -> str:
        """Id of the task's container once it runs and its process has begun to work."""

        def look() -> str | None:
            for each in self.task_containers(run, task):
                if engine("inspect", "--format", "{{.State.Running}}", each, check=False) == "true":
                    return each
            return None

        return until(f"the container of {task}", look, seconds)

    def sql(self, query: str) -> list[list[str]]:
        """Rows of a query on our own database."""
        words = ["psql", "--no-psqlrc", "-At", "-F", "\t", "-h", "127.0.0.1", "-U", "core", "-d", "core", "-c", query]
        shell = f'PGPASSWORD={self.secret("postgres_core")} exec "$@"'
        answer = engine("exec", self.container("postgres"), "sh", "-c", shell, "sh", *words)
        return [line.split("\t") for line in answer.splitlines()]

    def redis(self, *words: str) -> str:
        """Answer to a Redis command of our own user."""
        shell = f'REDISCLI_AUTH={self.secret("redis_core")} exec redis-cli --no-auth-warning --user core "$@"'
        return engine("exec", self.container("redis"), "sh", "-c", shell, "sh", *words)

    def command(self, *words: str) -> dict[str, Any]:
        """`python -m tasks …` in the container `watch`; its last line."""
        text = engine("exec", self.container("watch"), "entrypoint", "python", "-m", "tasks", *words)
        last: dict[str, Any] = json.loads(text.splitlines()[-1])
        return last

    def in_archive(self, shell: str) -> str:
        """Run a shell command over the archive volume, mounted to write."""
        mount = f"{self.name}-archive:/srv/archive"
        image = engine("inspect", "--format", "{{.Config.Image}}", self.container("watch"))
        return engine("run", "--rm", "--network", "none", "-v", mount, "--entrypoint", "sh", image, "-c", shell)


def require_engines_root() -> None:
    """Skip where the processes and volumes of containers cannot be reached from outside."""
    folder = Path(engine("info", "--format", "{{.DockerRootDir}}"))
    if os.geteuid() != 0 or not folder.is_dir():
        pytest.skip("needs root on the engine's own machine: it kills a container's process or fills its disk")


def kill_process(container: str) -> None:
    """SIGKILL the container's first process from outside, as a crash would: the engine's restart policy holds."""
    process = int(engine("inspect", "--format", "{{.State.Pid}}", container))
    os.kill(process, 9)


def _labelled(stack: str, service: str) -> list[str]:
    labels: Mapping[str, str] = {"com.docker.compose.project": stack, "com.docker.compose.service": service}
    return [word for name, value in labels.items() for word in ("--filter", f"label={name}={value}")]
