"""`python -m tasks watch` as a service: delivers, outlives what fails, ends when asked, or says why it cannot start."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import httpx
import pytest
import redis

from core.config.events import Event
from core.telemetry.heartbeat import HEARTBEATS, read_beats
from core.telemetry.outbox import Outbox
from core.telemetry.outbox_tables import Target
from laptop.servers import EmbeddedRedis
from laptop.stack import free_ports
from tests.fixtures.command_line import Command
from tests.fixtures.http_target import Answer, HttpTarget
from tests.fixtures.pagerduty_server import PagerDuty
from tests.fixtures.read_only import read_only
from tests.fixtures.slack_server import Slack
from tests.integration.alerts.notices import fields_of, post_verdicts, settled
from tests.integration.alerts.watching import alerting, watcher

PATIENCE_SECONDS = 60.0


@pytest.fixture
def slack() -> Iterator[HttpTarget]:
    with HttpTarget(Slack()) as server:
        yield server


@pytest.fixture
def pagerduty() -> Iterator[HttpTarget]:
    with HttpTarget(PagerDuty()) as server:
        yield server


@pytest.fixture
def command(tmp_path: Path, registry_url: str, redis_url: str, slack: HttpTarget, pagerduty: HttpTarget) -> Command:
    return alerting(tmp_path, registry_url, redis_url, slack, pagerduty)


def _until(holds: Callable[[], bool], alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until it holds; fail where the watcher ends first."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _post_alarm(postgres_url: str, key: str) -> None:
    Outbox(postgres_url).post(Event.HEARTBEAT_LOST, key, fields_of(Event.HEARTBEAT_LOST))


def test_it_delivers_whatever_fails_until_it_is_told_to_end(
    command: Command, registry_url: str, server_folder: Path, slack: HttpTarget, pagerduty: HttpTarget
) -> None:
    _post_alarm(registry_url, "heartbeat_lost/1")
    slack.will_answer(Answer(503), Answer(503))
    with EmbeddedRedis(server_folder) as server:
        command = replace(command, environ={**command.environ, "REDIS_URL": server.url})
        with watcher(command) as process:
            _until(lambda: settled(registry_url, Target.SLACK) == ["delivered"], lambda: process.poll() is None)
            server.__exit__(None, None, None)
            post_verdicts(registry_url, "v1")
            _until(lambda: settled(registry_url, Target.SLACK) == ["delivered"] * 2, lambda: process.poll() is None)
            process.send_signal(signal.SIGTERM)
            output, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, log
    assert json.loads(output.splitlines()[-1])["outputs"]["rounds"] >= 2
    assert [body["channel"] for body in slack.bodies] == ["#risk-alerts", "#analytics-info"]
    assert isinstance(pagerduty.service, PagerDuty)
    assert pagerduty.service.incidents == {"heartbeat_lost/1": 1}
    assert sum('"duty_failed"' in line for line in log.splitlines()) <= 1, "said once, not at every turn"
    assert "s3cret" not in log + output


def test_it_serves_the_metrics_of_tasks_that_have_ended(command: Command) -> None:
    command.outputs("keys", "init")
    (port,) = free_ports(1)

    def served() -> bool:
        with suppress(httpx.TransportError):
            return 'core_task_runs_total{exit_code="0",task="keys"} 1.0' in httpx.get(f"http://127.0.0.1:{port}").text
        return False

    with watcher(command, f"--metrics-port={port}") as process:
        _until(served, lambda: process.poll() is None)


@pytest.mark.parametrize("target", Target)
def test_killed_before_it_noted_what_it_sent_it_is_sent_once_more(
    command: Command, registry_url: str, slack: HttpTarget, pagerduty: HttpTarget, target: Target
) -> None:
    _post_alarm(registry_url, "heartbeat_lost/1")
    server = {Target.SLACK: slack, Target.PAGERDUTY: pagerduty}[target]
    server.will_answer(Answer(delay=PATIENCE_SECONDS))
    process = get_context("fork").Process(target=command.run, args=("watch", "--metrics-port=0"))
    process.start()
    _until(lambda: len(server.received) == 1, process.is_alive)
    process.kill()
    process.join()
    assert settled(registry_url, target) == [None]

    def delivered() -> bool:
        command.outputs("watch", "--once")
        return settled(registry_url, target) == ["delivered"]

    _until(delivered)
    assert len(server.bodies) == 2
    assert isinstance(pagerduty.service, PagerDuty)
    assert set(pagerduty.service.incidents) == {"heartbeat_lost/1"}, "two triggers, one incident"


def test_of_two_watchers_the_one_that_is_killed_is_missed(command: Command, redis_url: str) -> None:
    watchers = [get_context("fork").Process(target=command.run, args=("watch", "--metrics-port=0")) for _ in range(2)]
    with redis.Redis.from_url(redis_url) as client:
        for process in watchers:
            process.start()
        _until(lambda: client.hlen(HEARTBEATS) == 2, lambda: all(process.is_alive() for process in watchers))
        killed, other = watchers
        killed.kill()
        other.terminate()
        for process in watchers:
            process.join()
        (left,) = read_beats(client)
    assert left.pid == killed.pid
    assert left.field == f"t1/watch-{left.host}:{left.pid}"


def test_once_does_each_duty_once(command: Command, registry_url: str, slack: HttpTarget) -> None:
    post_verdicts(registry_url, "v1")
    assert command.outputs("watch", "--once") == {"duties": ["LostHeartbeats", "Delivery"], "rounds": 1}
    assert len(slack.bodies) == 1


def test_while_postgresql_takes_no_writes_it_is_waited_for(
    command: Command, registry_url: str, slack: HttpTarget
) -> None:
    post_verdicts(registry_url, "v1")
    read_only(registry_url, "on")
    with watcher(command) as process:
        lines = iter(process.stderr or ())
        assert any("DATABASE_SERVER_READ_ONLY" in line for line in lines)
        read_only(registry_url, "off")
        _until(lambda: settled(registry_url, Target.SLACK) == ["delivered"], lambda: process.poll() is None)
    assert len(slack.bodies) == 1


@pytest.mark.parametrize(
    ("variables", "exit_code", "code"),
    [
        ({"POSTGRES_URL": "postgresql://127.0.0.1:1/core"}, 30, "DATABASE_SERVER_UNREACHABLE"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, 30, "BUS_SERVER_UNREACHABLE"),
        ({"SLACK_WEBHOOK_URL": "hooks.example/s3cret"}, 20, "CONFIG_SCHEMA_INVALID"),
        ({"SLACK_WEBHOOK_URL": "https://hooks.example/s3 cret\n"}, 20, "CONFIG_SCHEMA_INVALID"),
        ({"PAGERDUTY_INTEGRATION_KEY_FILE": ""}, 20, "CONFIG_SCHEMA_INVALID"),
    ],
)
def test_where_it_cannot_start_it_says_why(
    command: Command, variables: dict[str, str], exit_code: int, code: str
) -> None:
    result = replace(command, environ={**command.environ, **variables}).run("watch")
    assert result.exit_code == exit_code
    assert json.loads(result.stdout.splitlines()[-1])["error"]["code"] == code
    assert "s3cret" not in result.output


def test_without_a_schema_it_does_not_start(command: Command, postgres_url: str) -> None:
    refused = replace(command, environ={**command.environ, "POSTGRES_URL": postgres_url}).refusal("watch")
    assert refused[:2] == (20, "DATABASE_SCHEMA_MISSING")
