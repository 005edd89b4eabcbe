"""The watcher as operations run it: a process of its own over one environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures.command_line import REPOSITORY, Command
from tests.fixtures.config_tree import copy_tree, read_values, write
from tests.fixtures.http_target import HttpTarget
from tests.fixtures.pagerduty_server import ROUTING_KEY
from tests.fixtures.slack_server import WEBHOOK

INTERVAL_SECONDS = 0.05


def alerting(folder: Path, postgres_url: str, redis_url: str, slack: HttpTarget, pagerduty: HttpTarget) -> Command:
    """The dev environment, but with both targets and a quick watcher."""
    config = copy_tree(folder)
    overlay = config / "envs" / "dev" / "environment.yaml"
    text = overlay.read_text(encoding="utf-8")
    listed = "[ARCHIVE_PATH, SLACK_WEBHOOK_URL, PAGERDUTY_INTEGRATION_KEY]"
    overlay.write_text(text.replace("[ARCHIVE_PATH]", listed), encoding="utf-8")
    content = read_values(config, "observability_policy.yaml")
    content["notifications"]["value"]["pagerduty"]["base_url"] = pagerduty.url
    content["watch"]["value"]["interval_seconds"] = INTERVAL_SECONDS
    content["watch"]["value"]["delivery"]["outage"] = {"first_seconds": INTERVAL_SECONDS, "max_seconds": 0.2}
    write(config, "observability_policy.yaml", content)
    command = Command.over(config, folder, postgres_url, redis_url)
    secrets = {"SLACK_WEBHOOK_URL": slack.url + WEBHOOK, "PAGERDUTY_INTEGRATION_KEY": ROUTING_KEY}
    for name, value in secrets.items():
        (folder / name).write_text(value + "\n", encoding="utf-8")
    return Command(config, {**command.environ, **{f"{name}_FILE": str(folder / name) for name in secrets}})


@contextmanager
def watcher(command: Command, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m tasks watch`, killed at the end of the block where it has not ended by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks", "--config", str(command.config), "watch", "--metrics-port=0", *words],
        cwd=REPOSITORY,
        env={**os.environ, **command.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
