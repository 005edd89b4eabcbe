"""Up, down and status of a stack."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from compose.airflow import Airflow
from compose.configuration import lay_configuration
from compose.engine import Service, compose, docker, log_tail, remove_task_containers, services
from compose.images import build, outdated_images
from compose.secrets_folder import make_secrets, require_store
from compose.stack import Stack
from core.errors import InputError, TransientError

START_SECONDS: Final = 240.0
_POLL_SECONDS: Final = 1.0
_FLOWS: Final = 4
VOLUMES: Final = ("archive", "keys", "config", "secrets", "postgres", "redis", "airflow-logs", "prometheus", "grafana")
"""What follows a stack's name in the names of its volumes."""

Say = Callable[[str], None]


def bring_up(stack: Stack, tree: Path, say: Say) -> None:
    """Make what is missing or of other code, start everything, and wait until Airflow has read its flows.

    Harmless when it runs: Compose starts again only what has changed.

    Raises:
        InputError: the configuration tree or a secret is unusable, the object store is not named, an image cannot be
            built, this code's version cannot be told.
        TransientError: the engine failed, or a service did not become healthy in time.
    """
    make_secrets(stack.secrets)
    stack.keep_environment()
    if stack.storage == "s3":
        require_store(stack.secrets)
    lay_configuration(stack, tree)
    if outdated := outdated_images(stack):
        build(outdated, say)
    started = time.monotonic()
    say(f"Starting the stack {stack.name} …")
    try:
        compose(["up", "--detach", "--remove-orphans"], stack.variables())
    except TransientError:
        _require_none_failed(services(stack.name), stack)
        raise
    _wait(stack, say)
    say(f"Healthy after {time.monotonic() - started:.0f} s.")
    say(f"Airflow: {stack.address}   users admin, operator, approver, viewer")
    say(f"Their passwords lie in {stack.secrets}/airflow_USER.")
    say(f"Metrics: http://127.0.0.1:{stack.ports.watch}/metrics")
    if stack.metrics:
        say(f"Prometheus: http://127.0.0.1:{stack.ports.prometheus}")
        say(f"Grafana: http://127.0.0.1:{stack.ports.grafana}   user admin, password in {stack.secrets}/grafana_admin")
    say("`make trigger` starts the chain, `make logs` follows the logs, `make down` stops everything.")


def bring_down(stack: Stack, say: Say, *, delete: bool, dry_run: bool) -> None:
    """Stop and remove the containers, those of tasks too; with `delete` the volumes as well.

    Raises TransientError where the engine fails.
    """
    if dry_run:
        own = {f"{stack.name}-{name}" for name in VOLUMES}
        volumes = sorted(own.intersection(docker("volume", "ls", "--quiet").split())) if delete else []
        say("would stop " + (", ".join(service.name for service in services(stack.name)) or "nothing"))
        say("would delete " + (", ".join(volumes) or "nothing"))
        return
    make_secrets(stack.secrets)
    variables, profiles = stack.variables(), ["--profile", "scale", "--profile", "metrics"]
    compose([*profiles, "stop", "--timeout", "30"], variables)  # who starts tasks goes before the tasks do
    removed = remove_task_containers(stack.name)
    words = [*profiles, "down", "--remove-orphans"]
    compose([*words, "--volumes"] if delete else words, variables)
    if delete:
        stack.forget_environment()
    say(f"Stopped {stack.name}; {removed} task containers removed; " + ("data deleted." if delete else "data kept."))


def describe(stack: Stack, say: Say) -> None:
    """Say what runs and how it is. Raises TransientError where the engine fails."""
    found = services(stack.name)
    if not found:
        say(f"Nothing of {stack.name} runs.")
    for service in found:
        ending = f" ({service.exit_code})" if service.state == "exited" else ""
        say(f"{service.name:18}{service.state}{ending} {service.health}".rstrip())


def airflow_of(stack: Stack, user: str) -> Airflow:
    """A client of the stack's Airflow for one of its users. Raises InputError where the stack was never made."""
    path = stack.secrets / f"airflow_{user}"
    if not path.is_file():
        raise InputError(
            "COMPOSE_STACK_ABSENT",
            f"the stack {stack.name} has never been up: its users have no passwords",
            where=str(path),
            remedy="start it with `make up`, or name the stack that is: STACK=<name>",
        )
    return Airflow(stack.address, user, path.read_text(encoding="utf-8").strip())


def _wait(stack: Stack, say: Say) -> None:
    deadline = time.monotonic() + START_SECONDS
    told: set[str] = set()
    airflow = airflow_of(stack, "admin")
    while True:
        found = services(stack.name)
        _require_none_failed(found, stack)
        for service in found:
            if service.ready and service.name not in told:
                say(f"  {service.name} is ready")
                told.add(service.name)
        waiting = [service.name for service in found if not service.ready]
        if not waiting and airflow.healthy():
            if len(airflow.get("/dags?dag_id_pattern=core_")["dags"]) >= _FLOWS:
                return
            waiting = ["the flows to be read"]
        if time.monotonic() > deadline:
            raise _failure(f"not ready after {START_SECONDS:.0f} s: {', '.join(waiting)}", stack, *waiting[:1])
        time.sleep(_POLL_SECONDS)


def _require_none_failed(found: Sequence[Service], stack: Stack) -> None:
    """Raise TransientError with the end of its log where a service has ended with an error."""
    for service in found:
        if service.state in {"exited", "restarting"} and service.exit_code != 0:
            raise _failure(f"{service.name} ended with {service.exit_code}\n{log_tail(service)}", stack, service.name)


def _failure(what: str, stack: Stack, *service: str) -> TransientError:
    return TransientError(
        "COMPOSE_SERVICE_FAILED",
        what,
        where=f"stack {stack.name}",
        remedy=f"look at `make logs SERVICE={' '.join(service)}`, mend it, and run `make up` again",
    )
