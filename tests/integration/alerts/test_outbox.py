"""A notification is kept once, with the change it tells of, or not at all."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from core.config.events import Event
from core.errors import InputError, TransientError
from core.postgres import open_engine, transaction
from core.telemetry.outbox import Outbox, post
from core.telemetry.outbox_tables import Target
from tests.fixtures.command_line import REPOSITORY
from tests.integration.alerts.notices import deliveries, fields_of, notifications


def test_a_key_is_taken_once_and_waits_for_every_target(registry_url: str) -> None:
    outbox = Outbox(registry_url)
    fields = fields_of(Event.VERDICT)
    assert outbox.post("verdict", "verdict/v1", fields)
    assert not outbox.post("verdict", "verdict/v1", {**fields, "status": "other"})
    assert notifications(registry_url) == [{"event": "verdict", "key": "verdict/v1", "fields": fields}]
    for target in Target:
        (waiting,) = deliveries(registry_url, target)
        assert (waiting["attempts"], waiting["settled"]) == (0, None)


def test_many_at_once_post_one(registry_url: str) -> None:
    posted: list[bool] = []
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        posted.append(Outbox(registry_url).post("verdict", "verdict/v1", fields_of(Event.VERDICT)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(posted) == [False, False, False, True]
    assert len(deliveries(registry_url, Target.SLACK)) == 1


def _change_and_fail(postgres_url: str) -> None:
    with transaction(open_engine(postgres_url)) as connection:
        assert post(connection, Event.VERDICT, "verdict/v1", fields_of(Event.VERDICT))
        raise RuntimeError("the change itself failed")


def test_what_did_not_happen_is_not_told(registry_url: str) -> None:
    with pytest.raises(RuntimeError):
        _change_and_fail(registry_url)
    assert notifications(registry_url) == []
    assert Outbox(registry_url).post(Event.VERDICT, "verdict/v1", fields_of(Event.VERDICT))


@pytest.mark.parametrize(
    ("event", "key", "changes", "code"),
    [
        ("verdickt", "k", {}, "NOTIFY_EVENT_UNKNOWN"),
        ("verdict", "k", {"more": "x"}, "NOTIFY_FIELDS_MISMATCH.*wrong: more"),
        ("verdict", "k", {"sharpe": 1.5}, "NOTIFY_FIELDS_MISMATCH.*wrong: sharpe"),
        ("verdict", "", {}, "NOTIFY_FIELDS_MISMATCH.*wrong: no key"),
    ],
)
def test_what_no_template_can_word_is_refused(
    registry_url: str, event: str, key: str, changes: dict[str, str], code: str
) -> None:
    with pytest.raises(InputError, match=code):
        Outbox(registry_url).post(event, key, {**fields_of(Event.VERDICT), **changes})
    assert notifications(registry_url) == []


def test_without_a_server_or_a_schema_the_error_says_so(postgres_url: str) -> None:
    with pytest.raises(TransientError, match="DATABASE_SERVER_UNREACHABLE"):
        Outbox("postgresql://127.0.0.1:1/core").post("verdict", "k", fields_of(Event.VERDICT))
    with pytest.raises(InputError, match="DATABASE_SCHEMA_MISSING"):
        Outbox(postgres_url).post("verdict", "k", fields_of(Event.VERDICT))


def test_airflow_can_post_with_what_its_image_holds() -> None:
    script = "import sys, core.telemetry.outbox; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    ours = {name for name in loaded.stdout.split() if name.startswith(("core.", "tasks"))}
    assert all(name.startswith(("core.config", "core.telemetry", "core.errors", "core.postgres")) for name in ours)
    assert not {"redis", "slack_sdk", "pagerduty", "numpy"} & set(loaded.stdout.split())
