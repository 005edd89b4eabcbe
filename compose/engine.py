"""The container engine and its Compose, called as commands."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compose.stack import REPOSITORY
from core.errors import InputError, TransientError

LOG_LINES: Final = 15
TASK_LABEL: Final = "ml-assets-core.task"
_PROJECT_LABEL: Final = "com.docker.compose.project"
_SERVICE_LABEL: Final = "com.docker.compose.service"


@dataclass(frozen=True)
class Service:
    """A service's container. `state` is the engine's word; `health` is empty where nothing checks it."""

    name: str
    container: str
    state: str
    health: str
    exit_code: int

    @property
    def ready(self) -> bool:
        """Running and, if it can say so, healthy; or done, for one that ends."""
        if self.state == "exited":
            return self.exit_code == 0
        return self.state == "running" and self.health in {"", "healthy"}


def docker(*words: str) -> str:
    """Run ``docker …``; its standard output. Raises TransientError with its own words where it fails."""
    return _run(["docker", *words], None).stdout


def require_engine() -> None:
    """Raise InputError where docker is not installed, TransientError where no engine answers."""
    if shutil.which("docker") is None:
        raise InputError(
            "COMPOSE_ENGINE_ABSENT", "docker is not installed", where="PATH", remedy="install Docker 20.10 or newer"
        )
    docker("version", "--format", "{{.Server.Version}}")


def compose(words: Sequence[str], variables: Mapping[str, str], *, shown: bool = True) -> None:
    """Run Compose over docker-compose.yaml. Raises TransientError where it fails."""
    command = [*_compose_command(), "--file", str(REPOSITORY / "docker-compose.yaml"), *words]
    _run(command, variables, shown=shown)


def services(stack: str) -> list[Service]:
    """Every container of the stack's services, by name."""
    found = docker("ps", "--all", "--quiet", "--filter", f"label={_PROJECT_LABEL}={stack}").split()
    if not found:
        return []
    described: list[dict[str, Any]] = json.loads(docker("inspect", *found))
    each = [
        Service(
            name=item["Config"]["Labels"][_SERVICE_LABEL],
            container=item["Id"],
            state=item["State"]["Status"],
            health=item["State"].get("Health", {}).get("Status", ""),
            exit_code=item["State"]["ExitCode"],
        )
        for item in described
    ]
    return sorted(each, key=lambda service: service.name)


def log_tail(service: Service) -> str:
    """The end of what a service said, on either stream."""
    done = _run(["docker", "logs", "--tail", str(LOG_LINES), service.container], None)
    return (done.stdout + done.stderr).strip()


def remove_task_containers(stack: str) -> int:
    """Remove the tasks' containers on the stack's network, and what they worked in; returns how many there were."""
    found = docker("ps", "--all", "--quiet", "--filter", f"label={TASK_LABEL}", "--filter", f"network={stack}").split()
    if found:
        docker("rm", "--force", "--volumes", *found)
    return len(found)


def has_image(name: str, *labels: str) -> bool:
    """Whether the engine holds the image, with each of these labels (KEY=VALUE)."""
    wanted = [word for label in labels for word in ("--filter", f"label={label}")]
    return bool(docker("images", "--quiet", *wanted, name).strip())


def _compose_command() -> list[str]:
    """`docker compose` (v2) where it is there, else docker-compose (1.29 or newer)."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)  # noqa: S607
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        raise InputError(
            "COMPOSE_COMMAND_ABSENT",
            "there is no Compose",
            where="PATH",
            remedy="install docker compose v2, or docker-compose 1.29",
        )
    return ["docker-compose"]


def _run(
    command: Sequence[str], variables: Mapping[str, str] | None, *, shown: bool = False
) -> subprocess.CompletedProcess[str]:
    output = None if shown else subprocess.PIPE
    done = subprocess.run(  # noqa: S603 - our own words
        list(command), env=variables, cwd=REPOSITORY, stdout=output, stderr=output, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr or "").strip() or f"it exited with {done.returncode}"
        raise TransientError(
            "COMPOSE_COMMAND_FAILED",
            said,
            where=" ".join(command[:6]),
            remedy="do what the message says, then run the same again",
        )
    return done
