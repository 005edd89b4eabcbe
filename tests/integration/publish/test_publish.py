"""A judged run becomes a registered, signed, distributed and announced model, once, whatever happens in between."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

import tasks.publish
from core.config.environment_variables import EnvironmentVariables
from core.errors import BlockedError, CoreError, InputError, TransientError
from core.models.leakage.certificate import FILE_NAME, THETA_CHECKS, TRAINING_CHECKS, certify, read_certificate
from core.stores import bundle_store, shared_storage
from core.stores.audit import Audit
from core.stores.bundle_store import open_bundle
from core.stores.bus import Bus
from core.stores.files import read_json
from core.stores.registry import Registry
from core.stores.signing import SigningKeys
from core.stores.tables import ModelStatus, RunStatus
from tasks.context import TaskContext
from tasks.gates import Gate
from tasks.publish import publish_model, rehearse
from tests.fixtures.gates import pass_gates
from tests.integration.alerts.notices import notifications
from tests.integration.publish.judged_runs import judged_run, make_context, version_of


@pytest.fixture
def context(tmp_path: Path, registry_url: str, redis_url: str) -> TaskContext:
    return make_context(tmp_path, registry_url, redis_url)


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".lock"} if folder.is_dir() else set()


def _status(context: TaskContext, version: str) -> str:
    entry = Registry(context.variables.postgres_url).find(version)
    return entry.status.value if entry else "unknown"


def _public_key(context: TaskContext) -> Path:
    return SigningKeys.below(context.roots.archive, context.settings.environment.signing).public_key


def _assert_deployed_once(context: TaskContext, client: Any, version: str) -> None:
    assert _status(context, version) == "deployed"
    for root in (context.roots.models, context.roots.shared):
        assert _names(root) == {version}
        assert open_bundle(root / version, _public_key(context)).params["theta1"] == 0.71
    assert [entry["model_version"] for _, entry in client.xrange("core:models:notices")] == [version]
    assert client.hget("core:models:deployed", "bundle") == version
    audit = Audit(context.variables.postgres_url)
    assert [change.event for change in audit.changes(version)] == ["MODEL_APPLIED"]
    assert [run.status for run in audit.runs(10)] == [RunStatus.SUCCEEDED]
    assert read_json(context.run(version).publish_result)["status"] == "deployed"
    assert [told["event"] for told in notifications(context.variables.postgres_url)] == [
        "verdict",
        "deployed",
        "model_applied",
    ]


def test_an_approved_model_is_deployed(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    result = publish_model(context, version, version)
    assert result.outputs["status"] == "deployed"
    assert result.metrics["sharpe"] == 1.6
    _assert_deployed_once(context, client, version)
    params = yaml.safe_load((context.roots.models / version / "params.yaml").read_bytes())
    assert (params["theta2"], params["horizon_bars"], params["seed"]) == (0.31, 48, 7)
    entry = Registry(context.variables.postgres_url).find(version)
    assert entry is not None
    assert entry.notes == "approved:\nSharpe 1.60 on the adoption window: above 1.20"
    assert entry.facts.metrics_json["verdict"]["psr"] == 0.98
    assert (context.roots.models / entry.facts.model_ai3_path).is_file()
    metrics = read_json(context.roots.models / version / "metrics.json")
    assert metrics["oos"] == {"ai1": {"auc": 0.61}}
    assert metrics["retrain_status"] == entry.facts.metrics_json["verdict"]["retrain_status"] == "adopted"
    assert metrics["verdict"] == read_json(context.run(version).verdict)
    told = {one["event"]: one["fields"] for one in notifications(context.variables.postgres_url)}
    assert told["verdict"] == {
        "model_version": version,
        "status": "approved",
        "sharpe": "1.6",
        "max_drawdown": "0.05",
        "trades_per_year": "210",
        "reasons": "Sharpe 1.60 on the adoption window: above 1.20",
        "trace_id": "t1",
    }
    assert told["model_applied"] == {
        "model_version": version,
        "replaces": "no model",
        "theta1": "0.71",
        "theta2": "0.31",
        "actor": "core_publish_flow",
        "trace_id": "t1",
    }


def _approval_required(context: TaskContext) -> TaskContext:
    settings = context.settings
    approval = settings.environment.publish_approval.model_copy(update={"required": True})
    environment = settings.environment.model_copy(update={"publish_approval": approval})
    return replace(context, settings=settings.model_copy(update={"environment": environment}))


@pytest.mark.parametrize("approved_by", [None, " "])
def test_where_a_person_has_to_approve_nothing_is_written_without_one(
    context: TaskContext, client: Any, approved_by: str | None
) -> None:
    version = judged_run(context, 1)
    required = _approval_required(context)
    with pytest.raises(BlockedError, match="PUBLISH_APPROVAL_MISSING"):
        publish_model(required, version, version, approved_by)
    assert Registry(context.variables.postgres_url).find(version) is None
    assert not _names(context.roots.models) | _names(context.roots.shared)
    assert client.keys("core:models:*") == []
    assert notifications(context.variables.postgres_url) == []
    assert rehearse(required, version, version).outputs["status"] == "would be deployed"


def test_the_approver_is_who_deploys_and_a_repeat_needs_nobody(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    required = _approval_required(context)
    first = publish_model(required, version, version, "ann")
    assert publish_model(required, version, version) == first
    _assert_deployed_once(context, client, version)
    (applied,) = Audit(context.variables.postgres_url).changes(version)
    told = {one["event"]: one["fields"] for one in notifications(context.variables.postgres_url)}
    assert applied.actor == told["model_applied"]["actor"] == "ann"


def test_a_rejected_verdict_needs_nobody(context: TaskContext) -> None:
    version = judged_run(context, 1, status="rejected", reasons=["Sharpe 0.20: must be above 1.20"])
    assert publish_model(_approval_required(context), version, version).outputs["status"] == "rejected"


def test_the_bundle_holds_the_certificate_of_training_and_search(context: TaskContext) -> None:
    version = judged_run(context, 1)
    publish_model(context, version, version)
    content = open_bundle(context.roots.models / version, _public_key(context)).read(FILE_NAME)
    certificate = read_certificate(content, FILE_NAME)
    assert certificate.passed
    assert [check.name for check in certificate.checks] == [*TRAINING_CHECKS, *THETA_CHECKS]


@pytest.mark.parametrize("search", [False, True])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("absent", "LEAK_CERTIFICATE_MISSING"),
        ("truncated", "LEAK_CERTIFICATE_UNREADABLE"),
        ("other version", "LEAK_CERTIFICATE_MISMATCH"),
        ("failed", "row 7 differs"),
        ("check left out", "was not made"),
    ],
)
def test_without_a_certificate_that_holds_nothing_is_published(
    context: TaskContext, change: str, expected: str, search: bool
) -> None:
    version = judged_run(context, 1)
    run = context.run(version)
    path = run.theta_certificate if search else run.training_certificate
    made = read_certificate(path.read_bytes(), str(path))
    first, *others = made.checks
    failed = first.model_copy(update={"passed": False, "found": "row 7 differs"})
    contents = {
        "truncated": path.read_bytes()[:40],
        "other version": certify(version_of(2), 7, made.checks).to_json(),
        "failed": certify(version, 7, [failed, *others]).to_json(),
        "check left out": certify(version, 7, others).to_json(),
    }
    if change == "absent":
        path.unlink()
    else:
        path.write_bytes(contents[change])
    with pytest.raises(CoreError, match=expected) as raised:
        publish_model(context, version, version)
    assert raised.value.exit_code == (10 if change in {"failed", "check left out"} else 20)
    assert _status(context, version) == "unknown"
    assert _names(context.roots.models) == set()


def test_publishing_twice_is_publishing_once(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    first = publish_model(context, version, version)
    assert publish_model(context, version, version) == first
    _assert_deployed_once(context, client, version)


def test_a_rejected_model_is_kept_with_its_reasons_but_never_distributed(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1, status="rejected", reasons=["Sharpe 0.20: must be above 1.20"])
    assert publish_model(context, version, version).outputs["status"] == "rejected"
    assert _names(context.roots.models) == {version}
    assert _names(context.roots.shared) == set()
    assert Registry(context.variables.postgres_url).deployed() is None
    assert client.keys("core:models:*") == []
    (run,) = Audit(context.variables.postgres_url).runs(10)
    assert (run.status, run.reason) == (RunStatus.REJECTED, "rejected:\nSharpe 0.20: must be above 1.20")
    (told,) = notifications(context.variables.postgres_url)
    assert (told["fields"]["status"], told["fields"]["reasons"]) == ("rejected", "Sharpe 0.20: must be above 1.20")


def test_a_successor_replaces_the_deployed_model_and_an_old_publish_does_not_undo_it(
    context: TaskContext, client: Any
) -> None:
    first = judged_run(context, 1)
    publish_model(context, first, first)
    second = judged_run(context, 2, previous=first)
    publish_model(context, second, second)
    assert (_status(context, first), _status(context, second)) == ("approved", "deployed")
    again = publish_model(context, first, first)
    assert again.outputs["status"] == "approved"
    assert "another model has been deployed since" in again.outputs["reasons"]
    assert _status(context, second) == "deployed"
    assert client.hget("core:models:deployed", "model_version") == second
    assert client.xlen("core:models:notices") == 2


def test_a_verdict_against_a_model_no_longer_deployed_blocks_before_anything_is_written(context: TaskContext) -> None:
    first = judged_run(context, 1)
    publish_model(context, first, first)
    late = judged_run(context, 2)
    with pytest.raises(BlockedError, match="REGISTRY_DEPLOYED_MOVED"):
        publish_model(context, late, late)
    assert _status(context, late) == "unknown"
    assert _names(context.roots.models) == {first}


@pytest.mark.parametrize("name", ["sharpe", "psr", "dsr", "dsr_search", "pbo", "theta1", "n_bars"])
def test_a_missing_number_blocks(context: TaskContext, name: str) -> None:
    absent: dict[str, Any] = {name: None}
    version = judged_run(context, 1, **absent)
    with pytest.raises(BlockedError, match=rf"PUBLISH_METRIC_MISSING.*verdict\.json: {name}"):
        publish_model(context, version, version)
    assert _status(context, version) == "unknown"


def test_a_verdict_without_reasons_blocks(context: TaskContext) -> None:
    version = judged_run(context, 1, reasons=[])
    with pytest.raises(BlockedError, match="PUBLISH_VERDICT_INCOMPLETE"):
        publish_model(context, version, version)


@pytest.mark.parametrize("said", [{"status": "blocked", "retrain_status": "blocked"}, {"retrain_status": "rejected"}])
def test_a_blocked_or_contradictory_verdict_blocks_with_its_reasons(context: TaskContext, said: dict[str, Any]) -> None:
    version = judged_run(context, 1, **said, reasons=["the window is short"])
    with pytest.raises(BlockedError, match=r"PUBLISH_VERDICT_INCOMPLETE.*the window is short"):
        publish_model(context, version, version)
    assert _status(context, version) == "unknown"


def test_a_run_of_another_version_is_refused(context: TaskContext) -> None:
    version = judged_run(context, 1)
    with pytest.raises(InputError, match="PUBLISH_RUN_MISMATCH"):
        publish_model(context, version, version_of(2))
    with pytest.raises(InputError, match=r"run\.json"):
        publish_model(context, version_of(3), version_of(3))


def test_a_missing_artifact_leaves_no_bundle_and_no_candidate(context: TaskContext) -> None:
    version = judged_run(context, 1)
    (context.run(version).model / "model_ai2.pkl").unlink()
    with pytest.raises(InputError, match=r"BUNDLE_SOURCE_MISSING.*model_ai2\.pkl"):
        publish_model(context, version, version)
    assert _status(context, version) == "draft"
    assert _names(context.roots.models) == set()


def test_a_rehearsal_writes_nothing(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    assert rehearse(context, version, version).outputs["status"] == "would be deployed"
    assert _status(context, version) == "unknown"
    assert not context.roots.models.exists()
    assert client.keys() == []
    (context.run(version).model / "feature_schema.json").unlink()
    with pytest.raises(InputError, match="BUNDLE_SOURCE_MISSING"):
        rehearse(context, version, version)


def test_old_versions_are_pruned_but_not_what_is_deployed(context: TaskContext) -> None:
    policy = context.settings.retrain_policy.model_copy(update={"versions_kept": 5})
    context = replace(context, settings=context.settings.model_copy(update={"retrain_policy": policy}))
    first = judged_run(context, 1)
    publish_model(context, first, first)
    for number in range(2, 9):
        version = judged_run(context, number, status="rejected")
        result = publish_model(context, version, version)
    assert result.outputs["pruned"] == [version_of(3)]
    assert _names(context.roots.models) == {first, *(version_of(number) for number in range(4, 9))}
    assert _names(context.roots.shared) == {first}
    assert _status(context, version_of(2)) == "rejected"
    changes = Audit(context.variables.postgres_url).changes(version_of(2))
    assert [change.event for change in changes] == ["MODEL_PRUNED"]


def _with(context: TaskContext, **urls: str) -> TaskContext:
    variables = context.variables
    values = {"postgres_url": variables.postgres_url, "redis_url": variables.redis_url, **urls}
    return replace(context, variables=EnvironmentVariables("dev", "INFO", others=variables.others, **values))


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ({"postgres_url": "postgresql://127.0.0.1:1/core"}, "DATABASE_SERVER_UNREACHABLE"),
        ({"redis_url": "redis://127.0.0.1:1/0"}, "BUS_SERVER_UNREACHABLE"),
    ],
)
def test_a_server_out_of_reach_may_be_tried_again(context: TaskContext, address: dict[str, str], code: str) -> None:
    version = judged_run(context, 1)
    with pytest.raises(TransientError, match=code):
        publish_model(_with(context, **address), version, version)
    assert _names(context.roots.models) == set()
    assert publish_model(context, version, version).outputs["status"] == "deployed"


@contextmanager
def _files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing_half_written(context: TaskContext) -> None:
    version = judged_run(context, 1)
    context.run(version).oos_predictions.write_bytes(bytes(300_000))
    pass_gates(context.run(version), Gate.PREDICTIONS)
    with _files_no_larger_than(200_000), pytest.raises(TransientError, match="STORE_DISK_WRITE"):
        publish_model(context, version, version)
    assert _names(context.roots.models) == set()
    assert _status(context, version) == "draft"
    assert publish_model(context, version, version).outputs["status"] == "deployed"


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _publish_and_die(context: TaskContext, version: str, owner: object, name: str) -> None:
    setattr(owner, name, _die)
    publish_model(context, version, version)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (tasks.publish, "assemble"),
        (bundle_store, "sign_folder"),
        (bundle_store, "settle"),
        (Registry, "register_candidate"),
        (Registry, "record_verdict"),
        (tasks.publish, "distribute"),
        (shared_storage, "settle"),
        (Registry, "deploy"),
        (Bus, "announce_model"),
        (Audit, "record_run"),
        (tasks.publish, "write_json"),
    ],
)
def test_killed_anywhere_and_run_again_it_ends_the_same(
    context: TaskContext, client: Any, owner: object, name: str
) -> None:
    version = judged_run(context, 1)
    process = get_context("fork").Process(target=_publish_and_die, args=(context, version, owner, name))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not context.run(version).publish_result.exists()
    publish_model(context, version, version)
    _assert_deployed_once(context, client, version)


def test_two_publishes_of_one_run_at_once_are_one(context: TaskContext, client: Any) -> None:
    version = judged_run(context, 1)
    ends = _at_once(context, version, version)
    assert ends == ["deployed", "deployed"]
    _assert_deployed_once(context, client, version)


def test_of_two_runs_judged_against_the_same_model_one_is_deployed(context: TaskContext, client: Any) -> None:
    versions = judged_run(context, 1), judged_run(context, 2)
    ends = _at_once(context, *versions)
    assert sorted(ends) == ["REGISTRY_DEPLOYED_MOVED", "deployed"]
    statuses = sorted(_status(context, version) for version in versions)
    assert statuses == [ModelStatus.DEPLOYED.value, "unknown"]
    assert client.xlen("core:models:notices") == 1


def _at_once(context: TaskContext, *versions: str) -> list[str]:
    ends: list[str] = []
    start = threading.Barrier(len(versions))

    def publish(version: str) -> None:
        start.wait()
        try:
            ends.append(str(publish_model(context, version, version).outputs["status"]))
        except CoreError as error:
            ends.append(error.code)

    threads = [threading.Thread(target=publish, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends
