"""Two failed chains in a row pause retraining and tell people, in one step; only a person resumes it."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from core.errors import BlockedError
from core.postgres import open_engine, transaction
from core.stores.audit import Audit
from core.stores.retraining import RETRAIN_FLOW
from core.stores.tables import RunStatus
from core.telemetry.endings import early_ending
from core.telemetry.outbox import Outbox
from tasks import record_run as task
from tasks.admit import admit_retraining
from tasks.context import TaskContext
from tests.fixtures.command_line import Command
from tests.fixtures.config_tree import CONFIGS
from tests.integration.alerts.notices import notifications
from tests.integration.publish.judged_runs import make_context

FAILED = ("record-run", "--dag-id=core_backtest_flow", "--status=failed", "--run-id=r1")
REASON = "--reason=DATABASE_SERVER_UNREACHABLE: PostgreSQL does not answer"

ENDINGS = st.sampled_from([*RunStatus, *[RunStatus.FAILED] * 6])


@pytest.fixture
def command(tmp_path: Path, registry_url: str, redis_url: str) -> Command:
    return Command.over(CONFIGS, tmp_path, registry_url, redis_url)


def _events(postgres_url: str) -> list[str]:
    return [posted["event"] for posted in notifications(postgres_url)]


def test_the_second_failure_in_a_row_pauses_and_names_who_is_to_act(registry_url: str, command: Command) -> None:
    first = {"recorded": True, "failures_in_a_row": 1, "retraining_paused": False}
    assert command.outputs(*FAILED, REASON, trace_id="t1") == first
    assert command.outputs(*FAILED, REASON, trace_id="t1") == {**first, "recorded": False}
    assert command.outputs("admit") == {"resumed": False}
    assert command.outputs(*FAILED, trace_id="t2") == {
        "recorded": True,
        "failures_in_a_row": 2,
        "retraining_paused": True,
    }
    told = notifications(registry_url)
    assert [one["event"] for one in told] == ["run_failed", "run_failed", "retrain_paused"]
    assert told[0]["fields"] == {
        "dag_id": "core_backtest_flow",
        "run_id": "r1",
        "code": "DATABASE_SERVER_UNREACHABLE",
        "reason": "PostgreSQL does not answer",
        "trace_id": "t1",
    }
    assert told[1]["fields"]["code"] == "RETRAIN_TASK_FAILED"
    assert (told[2]["fields"]["recipient"], told[2]["fields"]["failures"]) == ("core.ops", "2")
    (change,) = Audit(registry_url).changes(RETRAIN_FLOW)
    assert (change.event, change.after) == ("RETRAIN_PAUSED", {"paused": True, "failures_in_a_row": 2})


def test_a_paused_retraining_waits_for_a_person_with_a_reason(registry_url: str, command: Command) -> None:
    for trace_id in ("t1", "t2"):
        command.outputs(*FAILED, REASON, trace_id=trace_id)
    exit_code, code, message = command.refusal("admit")
    assert (exit_code, code) == (11, "RETRAIN_RUN_PAUSED")
    assert "PostgreSQL does not answer" in message
    for words in (("--resume-by=ann",), ("--resume-by=ann", "--reason= "), ("--resume-by= ", "--reason=mended")):
        assert command.refusal("admit", *words)[:2] == (20, "RETRAIN_RESUME_UNSIGNED")
    assert command.refusal("admit", "--reason=no name")[0] == 11
    for resumed in (True, False):
        signed = ("--resume-by=ann", "--reason=the disk is larger now")
        assert command.outputs("admit", *signed, trace_id="t3") == {"resumed": resumed}
    assert command.outputs("admit") == {"resumed": False}
    _, change = Audit(registry_url).changes(RETRAIN_FLOW)
    assert (change.event, change.actor, change.reason) == ("RETRAIN_RESUMED", "ann", "the disk is larger now")
    assert _events(registry_url)[-2:] == ["retrain_paused", "retrain_resumed"]
    assert command.outputs(*FAILED, trace_id="t3")["retraining_paused"] is False, "failures before it do not count"
    assert command.outputs(*FAILED, trace_id="t4")["retraining_paused"] is True


def test_a_blocked_chain_is_told_but_is_no_failure(registry_url: str, command: Command) -> None:
    command.outputs(*FAILED, trace_id="t1")
    blocked = ("record-run", "--dag-id=core_theta_opt_flow", "--status=blocked", "--reason=THETA_X_Y: too few starts")
    assert command.outputs(*blocked, trace_id="t2")["failures_in_a_row"] == 0
    assert command.outputs(*FAILED, trace_id="t3")["retraining_paused"] is False
    told = notifications(registry_url)[1]
    assert (told["event"], told["fields"]["code"], told["fields"]["run_id"]) == (
        "run_blocked",
        "THETA_X_Y",
        "not identified",
    )


def test_what_airflow_told_in_place_of_record_run_is_not_told_again(registry_url: str, command: Command) -> None:
    told = early_ending("failed", "core_backtest_flow", "t1", "r1", REASON.removeprefix("--reason="))
    assert Outbox(registry_url).post(told.event, told.key, told.fields)
    assert command.outputs(*FAILED, REASON, trace_id="t1")["recorded"] is True
    (posted,) = notifications(registry_url)
    assert posted["fields"] == told.fields


def test_what_cannot_be_told_is_not_recorded_either(
    registry_url: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("killed")

    command.outputs(*FAILED, trace_id="t1")
    with monkeypatch.context() as patch:
        patch.setattr(task, "tell_paused", fail)
        assert command.run(*FAILED, trace_id="t2").exit_code == 1
    assert len(Audit(registry_url).runs(10)) == 1
    assert _events(registry_url) == ["run_failed"]
    assert command.outputs(*FAILED, trace_id="t2")["retraining_paused"] is True
    assert _events(registry_url) == ["run_failed", "run_failed", "retrain_paused"]


def test_failures_recorded_at_once_pause_once(tmp_path: Path, registry_url: str, redis_url: str) -> None:
    context = make_context(tmp_path, registry_url, redis_url)
    start = threading.Barrier(4)

    def run(trace_id: str) -> None:
        start.wait()
        task.record(replace(context, trace_id=trace_id), RETRAIN_FLOW, RunStatus.FAILED, None, None)

    threads = [threading.Thread(target=run, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _events(registry_url).count("retrain_paused") == 1
    assert [change.event for change in Audit(registry_url).changes(RETRAIN_FLOW)] == ["RETRAIN_PAUSED"]


class Pausing(RuleBasedStateMachine):
    """record-run and admit beside a plain list of what happened."""

    context: TaskContext

    @initialize()
    def empty(self) -> None:
        with transaction(open_engine(self.context.variables.postgres_url)) as connection:
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            connection.execute(sa.text("TRUNCATE audit.retrain_runs, audit.config_changes, core.deliveries"))
            connection.execute(sa.text("DELETE FROM core.notifications"))
        self.ended: list[tuple[str, RunStatus]] = []
        self.paused = False
        self.told: list[str] = []

    @rule(chain=st.sampled_from("abcdefgh"), status=ENDINGS)
    def end(self, chain: str, status: RunStatus) -> None:
        result = task.record(replace(self.context, trace_id=chain), RETRAIN_FLOW, status, None, None)
        new = (chain, status) not in self.ended
        if new:
            self.ended.append((chain, status))
            self.told += {RunStatus.FAILED: ["run_failed"], RunStatus.BLOCKED: ["run_blocked"]}.get(status, [])
        if new and status is RunStatus.FAILED and self._failures() >= 2 and not self.paused:
            self.paused = True
            self.told.append("retrain_paused")
        assert result.outputs == {
            "recorded": new,
            "failures_in_a_row": self._failures(),
            "retraining_paused": self.paused,
        }

    @rule(by=st.sampled_from(["ann", None]))
    def admit(self, by: str | None) -> None:
        if self.paused and by is None:
            with pytest.raises(BlockedError, match="RETRAIN_RUN_PAUSED"):
                admit_retraining(self.context, by, "mended")
            return
        assert admit_retraining(self.context, by, "mended").outputs == {"resumed": self.paused}
        if self.paused:
            self.paused = False
            self.told.append("retrain_resumed")
            self.ended.append(("", RunStatus.SUCCEEDED))  # no failure counts across it

    @invariant()
    def what_happened_was_told_once_and_in_order(self) -> None:
        assert _events(self.context.variables.postgres_url) == self.told

    def _failures(self) -> int:
        """Chains at the end of the list whose last ending is a failure, up to the first that ended otherwise."""
        last = {chain: number for number, (chain, _) in enumerate(self.ended)}
        newest = [self.ended[number] for number in sorted(last.values())]
        return sum(1 for _ in itertools.takewhile(lambda one: one[1] is RunStatus.FAILED, reversed(newest)))


def test_pausing_obeys_its_rules_in_every_order(tmp_path: Path, registry_url: str, redis_url: str) -> None:
    Pausing.context = make_context(tmp_path, registry_url, redis_url)
    run_state_machine_as_test(
        Pausing,
        settings=settings(
            max_examples=10, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
