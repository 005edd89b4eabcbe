"""watch: deliver notifications, watch heartbeats and serve the metrics until stopped (SPEC OBS-1, OBS-2, ORC-2)."""

from __future__ import annotations

import datetime
import os
import queue
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Self

import typer

from core.errors import CoreError
from core.telemetry.delivery import Delivery
from core.telemetry.duty import Duty
from core.telemetry.lost_heartbeats import LostHeartbeats
from core.telemetry.outbox_tables import Target
from core.telemetry.pagerduty import PagerDutySender
from core.telemetry.sender import Sender, Unaddressed
from core.telemetry.slack import SlackSender
from tasks.app import run_task
from tasks.context import TaskContext, TaskResult
from tasks.metrics_exporter import MetricsExporter, TaskMetrics
from tasks.servers import require_servers

app = typer.Typer()


class _Stop:
    """Set by SIGTERM and SIGINT while entered. A SimpleQueue may be put to from a signal handler, an Event may not."""

    def __init__(self) -> None:
        self.asked = False
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> None:
        """Until a signal comes, `seconds` at most."""
        with suppress(queue.Empty):
            self._signals.get(timeout=seconds)

    def _ask(self, number: int, _: object) -> None:
        self.asked = True
        self._signals.put(number)


@app.command()
def watch(
    command: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Do each duty once, then end; the metrics are not served.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve the metrics here, not at observability_policy's port; 0: any."),
    ] = None,
) -> None:
    """Deliver notifications to Slack and PagerDuty, raise lost heartbeats and serve the metrics, until SIGTERM.

    Several may run at once, each on a metrics port of its own where they share a machine. A server that stops
    answering is waited for; one that does not answer at the start ends the command with 30.

    Example: python -m tasks --config configs watch
    """
    process = f"watch-{socket.gethostname()}:{os.getpid()}"
    run_task(
        command, "watch", lambda context: watch_over(context, once=once, metrics_port=metrics_port), process=process
    )


def watch_over(context: TaskContext, *, once: bool, metrics_port: int | None) -> TaskResult:
    """The task's body.

    Raises:
        TransientError: PostgreSQL or Redis does not answer at the start.
        InputError: an address or credentials are wrong, the schema is missing, or the metrics port is taken.
    """
    require_servers(context)
    stop = _Stop()
    duties = duties_of(context, lambda: stop.asked)
    rounds = 1
    if once:
        for duty in duties:
            duty.run(_now())
    else:
        with stop, _exporter(context, metrics_port):
            rounds = _until_stopped(context, duties, stop)
    return TaskResult(outputs={"duties": [type(duty).__name__ for duty in duties], "rounds": rounds})


def duties_of(context: TaskContext, stopping: Callable[[], bool]) -> Sequence[Duty]:
    """What the watcher does at each turn, in this order; an alarm of one is delivered in the same turn."""
    settings, variables = context.settings, context.variables
    return (
        LostHeartbeats(
            variables.redis_url, variables.postgres_url, settings.retrain_policy.heartbeat_lost_seconds, context.log
        ),
        Delivery(
            variables.postgres_url,
            _senders(context),
            settings.slack_policy,
            settings.environment.name,
            settings.observability_policy.watch.delivery,
            context.log,
            stopping,
        ),
    )


def _exporter(context: TaskContext, port: int | None) -> MetricsExporter:
    settings, variables = context.settings, context.variables
    lost_after = settings.retrain_policy.heartbeat_lost_seconds
    metrics = TaskMetrics(variables.postgres_url, variables.redis_url, lost_after, context.log)
    return MetricsExporter(metrics, settings.observability_policy.metrics.port if port is None else port)


def _senders(context: TaskContext) -> dict[Target, Sender]:
    """A sender for each target; one without an address where the environment requires none."""
    policy, addresses = context.settings.observability_policy, context.variables.others
    environment, timeout = context.settings.environment.name, policy.watch.delivery.timeout_seconds
    webhook, key = addresses.get("SLACK_WEBHOOK_URL"), addresses.get("PAGERDUTY_INTEGRATION_KEY")
    base_url = policy.notifications.pagerduty.base_url
    return {
        Target.SLACK: SlackSender(webhook, timeout) if webhook else Unaddressed("SLACK_WEBHOOK_URL", environment),
        Target.PAGERDUTY: PagerDutySender(key, base_url, timeout)
        if key
        else Unaddressed("PAGERDUTY_INTEGRATION_KEY", environment),
    }


def _until_stopped(context: TaskContext, duties: Sequence[Duty], stop: _Stop) -> int:
    """Turn after turn; the number of turns begun. A duty that fails is logged when its failure changes."""
    interval = context.settings.observability_policy.watch.interval_seconds
    failing: dict[str, str] = {}
    rounds = 0
    context.log.info("watching", duties=[type(duty).__name__ for duty in duties], every=interval)
    while not stop.asked:
        rounds += 1
        for duty in duties:
            _attempt(context, duty, failing)
        stop.wait(interval)
    return rounds


def _attempt(context: TaskContext, duty: Duty, failing: dict[str, str]) -> None:
    name = type(duty).__name__
    try:
        duty.run(_now())
    except CoreError as error:
        if failing.get(name) != error.code:
            context.log.error("duty_failed", duty=name, error=str(error))
        failing[name] = error.code
    else:
        if failing.pop(name, None) is not None:
            context.log.info("duty_recovered", duty=name)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
