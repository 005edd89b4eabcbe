"""Slack and PagerDuty as containers on a stack's network, speaking their protocols."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from compose.images import image
from compose.stack import REPOSITORY
from tests.containers.running_stack import RunningStack, engine
from tests.fixtures.pagerduty_server import ROUTING_KEY
from tests.fixtures.slack_server import WEBHOOK

PORT: Final = 8080
SERVICES: Final = ("slack", "pagerduty")
_READ: Final = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/_received').read().decode())"


@dataclass(frozen=True)
class Fakes:
    """The stand-ins of one stack."""

    stack: RunningStack

    @staticmethod
    def give_addresses(stack: RunningStack) -> None:
        """Write the secrets of both before the stack comes up."""
        stack.give({"slack_webhook_url": f"http://slack:{PORT}{WEBHOOK}", "pagerduty_integration_key": ROUTING_KEY})

    def start(self, *services: str) -> None:
        """Start both, or the ones named."""
        for service in services or SERVICES:
            program = ["python", "-m", f"tests.fixtures.{service}_server", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104
            words = ["--detach", "--rm", "--name", self._name(service), "--network", self.stack.name]
            words += ["--network-alias", service, "--volume", f"{REPOSITORY}/tests:/srv/tests:ro", "--workdir", "/srv"]
            engine("run", *words, "--entrypoint", program[0], image("tasks"), *program[1:])

    def stop(self, *services: str) -> None:
        """Stop both, or the ones named; harmless where they do not run."""
        for service in services or SERVICES:
            engine("rm", "--force", self._name(service), check=False)

    def messages(self) -> list[dict[str, Any]]:
        """What Slack took."""
        return self._bodies("slack")

    def incidents(self) -> list[dict[str, Any]]:
        """What PagerDuty took."""
        return self._bodies("pagerduty")

    def _bodies(self, service: str) -> list[dict[str, Any]]:
        received = json.loads(engine("exec", self._name(service), "python", "-c", _READ))
        return [each["body"] for each in received if 200 <= each["status"] < 300]

    def _name(self, service: str) -> str:
        return f"{self.stack.name}-fake-{service}"
