"""A judged model that a person refuses: registered and kept as rejected, and never distributed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import tasks.refuse
from core.errors import InputError, TransientError
from core.stores.audit import Audit
from core.stores.bundle_store import open_bundle
from core.stores.files import read_json
from core.stores.registry import Registry
from core.stores.signing import SigningKeys
from core.stores.tables import ModelStatus, RunStatus
from tasks.context import TaskContext
from tasks.publish import publish_model, rehearse
from tasks.refuse import refuse_model
from tests.fixtures.command_line import Command
from tests.fixtures.config_tree import CONFIGS
from tests.integration.alerts.notices import notifications
from tests.integration.publish.judged_runs import judged_run, make_context

NOTES = "rejected:\nSharpe 1.60 on the adoption window: above 1.20\nrefused by ann: wait for March"


@pytest.fixture
def context(tmp_path: Path, registry_url: str, redis_url: str) -> TaskContext:
    return make_context(tmp_path, registry_url, redis_url)


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def _refuse(context: TaskContext, version: str, actor: str = "ann", reason: str = "wait for March") -> dict[str, Any]:
    return dict(refuse_model(context, version, version, actor=actor, reason=reason).outputs)


def _assert_refused(context: TaskContext, client: Any, version: str) -> None:
    registry = Registry(context.variables.postgres_url)
    entry = registry.find(version)
    assert entry is not None
    assert (entry.status, entry.notes) == (ModelStatus.REJECTED, NOTES)
    assert registry.deployed() is None
    assert not context.roots.shared.exists() or not any(context.roots.shared.iterdir())
    assert client.keys("core:models:*") == []
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    assert open_bundle(context.roots.models / version, keys.public_key).model_version == version
    audit = Audit(context.variables.postgres_url)
    (change,) = audit.changes(version)
    assert (change.event, change.actor, change.reason) == ("MODEL_REFUSED", "ann", "wait for March")
    assert [(run.status, run.run_id, run.reason) for run in audit.runs(10)] == [(RunStatus.REJECTED, version, NOTES)]
    published = read_json(context.run(version).publish_result)
    assert (published["status"], published["reasons"][-1]) == ("rejected", "refused by ann: wait for March")
    refused, verdict = notifications(context.variables.postgres_url)
    assert (refused["event"], refused["fields"]["actor"]) == ("approval_refused", "ann")
    assert (verdict["event"], verdict["fields"]["status"]) == ("verdict", "rejected")


def test_a_refused_model_is_rejected_in_the_person_s_name(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    assert _refuse(context, version)["status"] == "rejected"
    _assert_refused(context, client, version)


def test_refusing_again_or_publishing_afterwards_changes_nothing(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    _refuse(context, version)
    _refuse(context, version, "bob", "me too")
    assert rehearse(context, version, version).outputs["status"] == "would be rejected"
    outputs = publish_model(context, version, version).outputs
    assert (outputs["status"], outputs["reasons"][-1]) == ("rejected", "refused by ann: wait for March")
    _assert_refused(context, client, version)


def test_a_refusal_cut_short_holds_and_is_finished_by_the_next(
    context: TaskContext, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = judged_run(context, 1)

    def broken(*_: object) -> None:
        raise TransientError("STORE_DISK_WRITE", "full", where="here", remedy="try again")

    with monkeypatch.context() as patch:
        patch.setattr(tasks.refuse, "register_judged", broken)
        with pytest.raises(TransientError):
            _refuse(context, version)
    assert publish_model(context, version, version).outputs["status"] == "rejected"
    _refuse(context, version)
    _assert_refused(context, client, version)


def test_a_model_the_verdict_rejected_may_be_refused_as_well(context: TaskContext) -> None:
    version = judged_run(context, 1, status="rejected", reasons=["Sharpe 0.20: must be above 1.20"])
    _refuse(context, version)
    entry = Registry(context.variables.postgres_url).find(version)
    assert entry is not None
    assert entry.notes == "rejected:\nSharpe 0.20: must be above 1.20\nrefused by ann: wait for March"


def test_a_deployed_model_is_past_refusing(context: TaskContext) -> None:
    version = judged_run(context, 1)
    publish_model(context, version, version)
    with pytest.raises(InputError, match="PUBLISH_REFUSAL_LATE: the version is deployed"):
        _refuse(context, version)
    deployed = Registry(context.variables.postgres_url).deployed()
    assert deployed is not None
    assert deployed.model_version == version
    assert publish_model(context, version, version).outputs["status"] == "deployed"


@pytest.mark.parametrize(("actor", "reason"), [("", "wait"), ("ann", "  ")])
def test_a_refusal_without_a_name_or_a_reason_is_none(context: TaskContext, actor: str, reason: str) -> None:
    version = judged_run(context, 1)
    with pytest.raises(InputError, match="PUBLISH_REFUSAL_UNSIGNED"):
        _refuse(context, version, actor, reason)
    assert Registry(context.variables.postgres_url).find(version) is None


def test_on_the_command_line(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    command = Command.over(CONFIGS, context.roots.archive, context.variables.postgres_url, context.variables.redis_url)
    words = ["--run-id", version, "--model-version", version, "--actor", "ann", "--reason", "wait for March"]
    last = command.last_line("refuse", *words)
    assert (last["task"], last["status"], last["outputs"]["status"]) == ("refuse", "done", "rejected")
    _assert_refused(context, client, version)
