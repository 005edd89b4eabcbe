"""A chain is followed to its end, and the end says what became of the model and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from compose.secrets_folder import make_secrets
from compose.stack import Stack
from compose.trigger import CHAIN, trigger
from core.errors import InputError, TransientError
from tests.unit.compose.conftest import at_port
from tests.unit.compose.stand_ins import AirflowServer, Flow

VERSION = "20240101_0000_0123abcd"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compose.trigger._POLL_SECONDS", 0.01)


@pytest.fixture
def airflow(stack: Stack) -> Iterator[AirflowServer]:
    """All four flows end well, the last one without a word."""
    make_secrets(stack.secrets)
    password = (stack.secrets / "airflow_operator").read_text(encoding="utf-8")
    flows = {name: Flow(["queued", "running", "success"]).task("first", "success") for name in CHAIN}
    with AirflowServer(password, flows) as server:
        yield server


class Followed:
    """A chain that was followed: exit code, last line and what was said."""

    def __init__(self, stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str], **conf: Any) -> None:
        self.said: list[str] = []
        self.code = trigger(at_port(stack, airflow.port), CHAIN[0], conf, self.said.append, follow=True)
        self.last: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])


def published(status: str, *reasons: str) -> dict[str, Any]:
    return {"outputs": {"status": status, "reasons": list(reasons), "model_version": VERSION}}


def failure(code: int, text: str) -> dict[str, Any]:
    return {"task": "t", "exit_code": code, "text": text}


@pytest.mark.parametrize("status", ["deployed", "rejected", "would be deployed"])
def test_the_end_says_what_became_of_the_model(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    last = airflow.flows[CHAIN[-1]]
    last.task("publish", "success", return_value=published(status, "a reason")).task("infer", "skipped")
    found = Followed(stack, airflow, capsys, reason="a try")
    assert found.code == 0
    assert found.last == {
        "run": airflow.run,
        "state": status,
        "flow": CHAIN[-1],
        "reasons": ["a reason"],
        "published": published(status, "a reason")["outputs"],
    }
    assert airflow.conf == {"reason": "a try"}
    assert found.said.count("  core_publish_flow  publish  success  2 s") == 1


def test_a_model_a_person_refused_is_rejected(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    last = airflow.flows[CHAIN[-1]]
    last.task("rehearse", "success", return_value=published("would be deployed"))
    last.task("publish", "skipped").task("refuse", "success", return_value=published("rejected", "ann: wait"))
    found = Followed(stack, airflow, capsys)
    assert (found.code, found.last["state"], found.last["reasons"]) == (0, "rejected", ["ann: wait"])


@pytest.mark.parametrize("part", [-1, 1])
def test_a_blocked_chain_is_said_to_be_blocked_and_why(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    first = airflow.flows[CHAIN[0]]
    first.task("train", "skipped", part, failure=failure(11, "DATA_TOO_FEW: why")).task("gate-predictions", "skipped")
    for later in CHAIN[1:]:
        airflow.flows[later] = Flow()
    found = Followed(stack, airflow, capsys)
    assert found.code == 0
    assert found.last == {"run": airflow.run, "state": "blocked", "flow": CHAIN[0], "reasons": ["DATA_TOO_FEW: why"]}


def test_a_block_in_the_last_flow_is_one_too(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.flows[CHAIN[-1]].task("publish", "skipped", failure=failure(11, "stale"))
    found = Followed(stack, airflow, capsys)
    assert (found.last["state"], found.last["reasons"]) == ("blocked", ["stale"])


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        (
            [("theta", "failed", failure(20, "INPUT_BAD_X: why")), ("report", "upstream_failed", None)],
            "INPUT_BAD_X: why",
        ),
        ([("theta", "failed", None)], "the task theta failed without a word of its own"),
        ([("theta", "skipped", failure(11, "no verdict"))], "the flow was ended from outside"),
    ],
    ids=["its own words", "killed", "from outside"],
)
def test_a_failed_chain_ends_where_it_failed_and_says_why(
    stack: Stack,
    airflow: AirflowServer,
    capsys: pytest.CaptureFixture[str],
    tasks: list[tuple[str, str, dict[str, Any] | None]],
    reason: str,
) -> None:
    flow = airflow.flows[CHAIN[2]] = Flow(["running", "failed"])
    for name, state, left in tasks:
        flow.task(name, state, -1, **({} if left is None else {"failure": left}))
    found = Followed(stack, airflow, capsys)
    assert (found.code, found.last["state"], found.last["flow"]) == (1, "failed", CHAIN[2])
    assert found.last["reasons"] == [reason]


def test_a_record_that_could_not_be_written_does_not_undo_a_deployment(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    last = airflow.flows[CHAIN[-1]].task("publish", "success", return_value=published("deployed"))
    last.task("record-run", "failed", failure=failure(30, "PostgreSQL is away"))
    found = Followed(stack, airflow, capsys)
    assert (found.code, found.last["state"]) == (0, "deployed")


def test_an_airflow_that_is_away_for_a_while_does_not_end_the_following(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.flows[CHAIN[-1]].task("publish", "success", return_value=published("deployed"))
    airflow.outages = {"dagRuns?": 2, "taskInstances?": 1, "xcomEntries": 1}
    found = Followed(stack, airflow, capsys)
    assert found.last["state"] == "deployed"
    assert len([line for line in found.said if line.endswith("asking again")]) == 4


def test_one_that_stays_away_ends_it(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compose.trigger.PATIENCE_SECONDS", 0.05)
    airflow.outages = {"dagRuns?": 1_000_000}
    with pytest.raises(TransientError, match="COMPOSE_AIRFLOW_UNREACHABLE"):
        Followed(stack, airflow, capsys)


def test_a_paused_flow_is_told_before_anyone_waits_for_it(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.flows[CHAIN[1]].paused = True
    said = Followed(stack, airflow, capsys).said
    assert [line for line in said if "paused" in line] == [
        "core_backtest_flow is paused: its run waits until someone unpauses it in the UI."
    ]


def test_without_follow_it_is_started_and_left(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trigger(at_port(stack, airflow.port), CHAIN[-1], {}, lambda _: None, follow=False) == 0
    assert json.loads(capsys.readouterr().out) == {"run": airflow.run, "state": "queued"}


def test_what_airflow_refuses_is_told_in_its_words(stack: Stack, airflow: AirflowServer) -> None:
    with pytest.raises(InputError, match=r"COMPOSE_AIRFLOW_REFUSED.*not found"):
        trigger(at_port(stack, airflow.port), "no_such_flow", {}, lambda _: None, follow=False)


def test_a_wrong_password_is_refused_and_not_shown(stack: Stack, airflow: AirflowServer) -> None:
    (stack.secrets / "airflow_operator").write_text("quite-another-password")
    with pytest.raises(InputError, match="401") as refused:
        trigger(at_port(stack, airflow.port), CHAIN[0], {}, lambda _: None, follow=False)
    assert "quite-another" not in str(refused.value)


def test_a_stack_that_was_never_up_is_said_to_be_none(stack: Stack) -> None:
    with pytest.raises(InputError, match="COMPOSE_STACK_ABSENT"):
        trigger(stack, CHAIN[0], {}, lambda _: None, follow=False)


def test_a_run_that_someone_deleted_is_no_good_end(
    stack: Stack, airflow: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.flows[CHAIN[1]] = Flow(["running", "deleted"])
    found = Followed(stack, airflow, capsys)
    assert (found.code, found.last["state"], found.last["flow"]) == (1, "failed", CHAIN[1])


def test_an_airflow_that_is_away_is_worth_another_try(stack: Stack) -> None:
    make_secrets(stack.secrets)
    with pytest.raises(TransientError, match="COMPOSE_AIRFLOW_UNREACHABLE"):
        trigger(stack, CHAIN[0], {}, lambda _: None, follow=False)
