"""The outbox reaches Slack and PagerDuty, each message once and in order, whatever the targets do meanwhile."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core.config.events import Event
from core.config.loader import load_settings
from core.config.observability_policy import Backoff
from core.postgres import open_engine, transaction
from core.telemetry.delivery import Delivery, spaced
from core.telemetry.outbox import Outbox
from core.telemetry.outbox_tables import NOTIFICATIONS, Target
from core.telemetry.pagerduty import PagerDutySender
from core.telemetry.sender import Sender, Unaddressed
from core.telemetry.slack import SlackSender
from tests.fixtures.config_tree import CONFIGS
from tests.fixtures.http_target import HANG_UP, Answer, HttpTarget
from tests.fixtures.pagerduty_server import ROUTING_KEY, PagerDuty, throttled
from tests.fixtures.slack_server import WEBHOOK, Slack, rate_limited, texts
from tests.integration.alerts.notices import deliveries, fields_of, post_verdicts, settled, soon

SETTINGS = load_settings(CONFIGS, "prod")
POLICY = SETTINGS.observability_policy.watch.delivery
DOWN = Answer(503, "service_unavailable")


@pytest.fixture
def slack() -> Iterator[HttpTarget]:
    with HttpTarget(Slack()) as server:
        yield server


@pytest.fixture
def pagerduty() -> Iterator[HttpTarget]:
    with HttpTarget(PagerDuty()) as server:
        yield server


def _delivery(postgres_url: str, slack: HttpTarget, pagerduty: HttpTarget | None = None, **policy: Any) -> Delivery:
    limits = POLICY.model_copy(update={"timeout_seconds": 1, **policy})
    pages: Sender = Unaddressed("PAGERDUTY_INTEGRATION_KEY", "prod")
    if pagerduty is not None:
        pages = PagerDutySender(ROUTING_KEY, pagerduty.url, limits.timeout_seconds)
    senders = {Target.SLACK: SlackSender(slack.url + WEBHOOK, limits.timeout_seconds), Target.PAGERDUTY: pages}
    log = structlog.stdlib.get_logger()
    return Delivery(postgres_url, senders, SETTINGS.slack_policy, "prod", limits, log, lambda: False)


def _versions(server: HttpTarget) -> list[str]:
    """The versions whose verdicts Slack took, in the order it took them."""
    return [text.removeprefix("[info] ").split()[0] for text in texts(server)]


def test_a_message_goes_to_its_channel_in_its_words(registry_url: str, slack: HttpTarget) -> None:
    fields = fields_of(Event.RUN_FAILED, reason="<!channel> & more", code="DATABASE_SERVER_UNREACHABLE")
    Outbox(registry_url).post(Event.RUN_FAILED, "run_failed/t1", fields)
    _delivery(registry_url, slack).run(soon())
    (body,) = slack.bodies
    assert body["channel"] == "#ml-ops"
    first, second, last = body["text"].splitlines()
    assert first == "[warning] dag_id failed (run run_id, trace trace_id): DATABASE_SERVER_UNREACHABLE"
    assert second == "&lt;!channel&gt; &amp; more"
    with transaction(open_engine(registry_url)) as connection:
        event_id, occurred_at = connection.execute(
            NOTIFICATIONS.select().with_only_columns(NOTIFICATIONS.c.event_id, NOTIFICATIONS.c.occurred_at)
        ).one()
    assert last == f"prod · run_failed · {occurred_at.isoformat(timespec='seconds')} · event {event_id}"
    assert settled(registry_url, Target.SLACK) == ["delivered"]


def test_only_what_is_critical_is_paged_and_once(registry_url: str, slack: HttpTarget, pagerduty: HttpTarget) -> None:
    post_verdicts(registry_url, "v1")
    fields = fields_of(Event.HEARTBEAT_LOST, code="CORE_RETRAIN_HEARTBEAT")
    Outbox(registry_url).post(Event.HEARTBEAT_LOST, "heartbeat_lost/t1/train/1.0", fields)
    delivery = _delivery(registry_url, slack, pagerduty)
    delivery.run(soon())
    delivery.run(soon(10_000))
    assert isinstance(pagerduty.service, PagerDuty)
    assert pagerduty.service.incidents == {"heartbeat_lost/t1/train/1.0": 1}
    (body,) = pagerduty.bodies
    assert body["payload"]["severity"] == "critical"
    assert body["payload"]["summary"].startswith("CORE_RETRAIN_HEARTBEAT: task")
    assert set(body["payload"]["custom_details"]) == {"event_id", "occurred_at", "details"}
    assert body["payload"]["custom_details"]["details"] == fields
    assert [message["channel"] for message in slack.bodies] == ["#analytics-info", "#risk-alerts"]
    assert settled(registry_url, Target.PAGERDUTY) == ["withheld", "delivered"]


def test_without_an_address_a_message_is_withheld_for_good(registry_url: str) -> None:
    post_verdicts(registry_url, "v1")
    senders = {target: Unaddressed("SLACK_WEBHOOK_URL", "dev") for target in Target}
    log = structlog.stdlib.get_logger()
    Delivery(registry_url, senders, SETTINGS.slack_policy, "dev", POLICY, log, lambda: False).run(soon())
    (row,) = deliveries(registry_url, Target.SLACK)
    assert (row["settled"], row["last_error"]) == (
        "withheld",
        "SLACK_WEBHOOK_URL is not among the required variables of dev",
    )


@pytest.mark.parametrize(
    "answer",
    [
        DOWN,
        Answer(500, "rollup_error"),
        Answer(HANG_UP),
        Answer(200, "<html>a proxy's page</html>"),
        Answer(404, "no_service"),
        Answer(delay=1.5),
    ],
    ids=["503", "500", "hang-up", "proxy", "webhook-gone", "slow"],
)
def test_a_target_that_does_not_answer_is_left_alone_and_asked_again(
    registry_url: str, slack: HttpTarget, answer: Answer
) -> None:
    post_verdicts(registry_url, "v1", "v2")
    slack.will_answer(answer)
    delivery = _delivery(registry_url, slack)
    delivery.run(soon())
    assert len(slack.received) == 1
    first, second = deliveries(registry_url, Target.SLACK)
    assert (first["attempts"], second["attempts"]) == (1, 0)
    assert first["settled"] is None
    assert "s3cret" not in first["last_error"]
    delivery.run(soon(POLICY.outage.max_seconds))
    assert _versions(slack)[-2:] == ["v1", "v2"]
    assert settled(registry_url, Target.SLACK) == ["delivered"] * 2


def test_after_a_long_outage_everything_arrives_once_and_in_order(registry_url: str) -> None:
    versions = [f"v{number:02}" for number in range(12)]
    slack = HttpTarget(Slack())
    with slack:
        pass  # now its port refuses connections
    delivery = _delivery(registry_url, slack)
    now = soon()
    for version in versions:
        post_verdicts(registry_url, version)
        delivery.run(now)
        now += datetime.timedelta(seconds=POLICY.outage.max_seconds)
    assert settled(registry_url, Target.SLACK) == [None] * 12
    with slack:
        delivery.run(now)
    assert _versions(slack) == versions
    assert settled(registry_url, Target.SLACK) == ["delivered"] * 12


def test_a_target_that_asks_to_wait_is_given_the_time(registry_url: str, slack: HttpTarget) -> None:
    post_verdicts(registry_url, "v1")
    slack.will_answer(rate_limited(300))
    delivery = _delivery(registry_url, slack)
    now = soon()
    delivery.run(now)
    delivery.run(now + datetime.timedelta(seconds=299))
    assert len(slack.received) == 1
    delivery.run(now + datetime.timedelta(seconds=310))
    assert _versions(slack) == ["v1"]


@pytest.mark.parametrize("answer", [throttled(), DOWN, Answer(HANG_UP), Answer(delay=1.5)])
def test_an_incident_is_opened_after_whatever_kept_it(
    registry_url: str, slack: HttpTarget, pagerduty: HttpTarget, answer: Answer
) -> None:
    Outbox(registry_url).post(Event.HEARTBEAT_LOST, "k" * 300, fields_of(Event.HEARTBEAT_LOST))
    pagerduty.will_answer(answer)
    delivery = _delivery(registry_url, slack, pagerduty)
    delivery.run(soon())
    assert len(pagerduty.received) == 1
    assert settled(registry_url, Target.SLACK) == ["delivered"], "one target does not hold up the other"
    delivery.run(soon(POLICY.outage.max_seconds))
    assert settled(registry_url, Target.PAGERDUTY) == ["delivered"]
    assert isinstance(pagerduty.service, PagerDuty)
    assert len(pagerduty.service.incidents) == 1


def test_a_message_that_is_refused_holds_up_no_other_and_is_tried_until_taken(registry_url: str) -> None:
    service = Slack(archived=frozenset({"#config-changes"}))
    with HttpTarget(service) as slack:
        Outbox(registry_url).post(Event.MODEL_APPLIED, "model_applied/v0", fields_of(Event.MODEL_APPLIED))
        post_verdicts(registry_url, "v1", "v2")
        delivery = _delivery(registry_url, slack)
        now = soon()
        delivery.run(now)
        assert _versions(slack) == ["v1", "v2"]
        for _ in range(3):
            now += datetime.timedelta(seconds=POLICY.refused.max_seconds)
            delivery.run(now)
        refused = deliveries(registry_url, Target.SLACK)[0]
        assert (refused["attempts"], refused["settled"]) == (4, None)
        assert "channel_is_archived" in refused["last_error"]
        service.archived = frozenset()
        delivery.run(now + datetime.timedelta(seconds=POLICY.refused.max_seconds))
        assert settled(registry_url, Target.SLACK) == ["delivered"] * 3


class _Chokes(Slack):
    """Fails on one message, every time."""

    def answer(self, path: str, body: bytes) -> Answer:
        return Answer(500, "rollup_error") if b"poison" in body else super().answer(path, body)


def test_a_message_its_target_chokes_on_holds_up_no_other(registry_url: str) -> None:
    with HttpTarget(_Chokes()) as slack:
        post_verdicts(registry_url, "poison-1", "poison-2", "v1", "v2")
        delivery = _delivery(registry_url, slack)
        now = soon()
        for turn in range(80):
            if turn == 40:
                assert sorted(_versions(slack)) == ["v1", "v2"]
                post_verdicts(registry_url, "v3")
            delivery.run(now)
            now += datetime.timedelta(seconds=POLICY.outage.max_seconds)
        assert _versions(slack)[-1] == "v3"
        assert settled(registry_url, Target.SLACK)[:2] == [None, None], "and is never given up"


def test_once_a_message_is_known_to_be_bad_the_others_go_without_it(registry_url: str) -> None:
    with HttpTarget(_Chokes()) as slack:
        post_verdicts(registry_url, "poison", *(f"v{number}" for number in range(8)))
        delivery = _delivery(registry_url, slack)
        now = soon()
        for _ in range(POLICY.suspect_after):
            assert _versions(slack) == []
            delivery.run(now)
            now += datetime.timedelta(seconds=POLICY.outage.max_seconds)
        assert len(_versions(slack)) == 8
        assert len(slack.received) == 8 + POLICY.suspect_after


def test_what_another_release_posted_waits_for_a_watcher_that_has_words_for_it(
    registry_url: str, slack: HttpTarget
) -> None:
    post_verdicts(registry_url, "v1", "v2")
    with transaction(open_engine(registry_url)) as connection:
        connection.execute(NOTIFICATIONS.update().where(NOTIFICATIONS.c.key == "verdict/v1").values(event="eclipse"))
    _delivery(registry_url, slack).run(soon())
    assert _versions(slack) == ["v2"]
    first = deliveries(registry_url, Target.SLACK)[0]
    assert "eclipse" in first["last_error"]
    assert first["settled"] is None


def test_watchers_side_by_side_send_each_message_once_and_in_order(registry_url: str, slack: HttpTarget) -> None:
    versions = [f"v{number:02}" for number in range(30)]
    post_verdicts(registry_url, *versions)
    now, start = soon(), threading.Barrier(3)

    def watch() -> None:
        delivery = _delivery(registry_url, slack)
        start.wait()
        for _ in range(10):
            delivery.run(now)

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _versions(slack) == versions
    assert settled(registry_url, Target.SLACK) == ["delivered"] * 30


def test_a_turn_sends_no_more_than_its_share(registry_url: str, slack: HttpTarget) -> None:
    post_verdicts(registry_url, "v1", "v2", "v3")
    _delivery(registry_url, slack, most_per_pass=2).run(soon())
    assert _versions(slack) == ["v1", "v2"]


def test_tries_are_spaced_wider_and_wider_up_to_the_limit() -> None:
    backoff = Backoff(first_seconds=2.0, max_seconds=60.0)
    for attempts, longest in [(1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (10_000, 60.0)]:
        drawn = [spaced(attempts, backoff) for _ in range(50)]
        assert longest / 2 <= min(drawn) < max(drawn) <= longest


def test_a_message_too_long_for_its_target_is_cut(registry_url: str, slack: HttpTarget, pagerduty: HttpTarget) -> None:
    Outbox(registry_url).post(Event.HEARTBEAT_LOST, "k", fields_of(Event.HEARTBEAT_LOST, host="h" * 10_000))
    _delivery(registry_url, slack, pagerduty).run(soon())
    assert len(slack.bodies[0]["text"].splitlines()[0]) == 3000
    assert len(pagerduty.bodies[0]["payload"]["summary"]) == 1024
