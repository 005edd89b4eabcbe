"""The registry against a real PostgreSQL: a model's life, repeats, refusals and failures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.errors import BlockedError, CoreError, InputError, TransientError
from core.stores.audit import Audit
from core.stores.registry import DeployedModel, Registry
from core.stores.tables import ModelStatus
from tests.integration.registry.facts import model_facts


def _approve(registry: Registry, number: int) -> str:
    facts = model_facts(number)
    registry.register_draft(facts)
    registry.register_candidate(facts.model_version)
    registry.record_verdict(facts.model_version, approved=True, notes="within all limits")
    return facts.model_version


def _deploy(registry: Registry, version: str, replaces: str | None) -> bool:
    return registry.deploy(version, replaces=replaces, actor="tester", reason="approved", trace_id="t1")


def test_the_way_from_draft_to_deployed(registry_url: str) -> None:
    registry = Registry(registry_url)
    assert registry.deployed() is None
    facts = model_facts(1)
    assert registry.register_draft(facts).status is ModelStatus.DRAFT
    assert registry.register_draft(replace(facts, theta1=0.65)).facts.theta1 == 0.65
    registry.register_draft(facts)
    registry.register_candidate(facts.model_version)
    registry.record_verdict(facts.model_version, approved=True, notes="within all limits")
    assert not registry.was_deployed(facts.model_version)
    assert _deploy(registry, facts.model_version, None)
    assert registry.deployed() == DeployedModel(facts.model_version, 0.7, 0.3)
    entry = registry.find(facts.model_version)
    assert entry is not None
    assert entry.facts == facts
    assert entry.notes == "within all limits"
    assert entry.created_at.tzinfo is not None


def test_a_new_model_sends_the_deployed_one_back_to_approved_and_is_audited(registry_url: str) -> None:
    registry = Registry(registry_url)
    first, second = _approve(registry, 1), _approve(registry, 2)
    assert registry.deployment() is None
    _deploy(registry, first, None)
    before = registry.deployment()
    _deploy(registry, second, first)
    after = registry.deployment()
    assert before is not None
    assert after is not None
    assert (before.model.model_version, after.model.model_version) == (first, second)
    assert before.applied_at < after.applied_at
    assert [(entry.facts.model_version, entry.status) for entry in registry.history()] == [
        (second, ModelStatus.DEPLOYED),
        (first, ModelStatus.APPROVED),
    ]
    (change,) = Audit(registry_url).changes(second)
    assert change.event == "MODEL_APPLIED"
    assert change.before == {"model_version": first, "theta1": 0.7, "theta2": 0.3}
    assert registry.was_deployed(first)


def test_every_step_may_be_repeated(registry_url: str) -> None:
    registry = Registry(registry_url)
    for _ in range(2):
        version = _approve(registry, 1)
    assert _deploy(registry, version, None)
    assert not _deploy(registry, version, None)
    assert _approve(registry, 1) == version
    deployed = registry.deployed()
    assert deployed is not None
    assert deployed.model_version == version
    assert len(Audit(registry_url).changes(version)) == 1


def test_a_registered_version_never_changes_its_content(registry_url: str) -> None:
    registry = Registry(registry_url)
    _approve(registry, 1)
    with pytest.raises(InputError, match=r"REGISTRY_MODEL_CONFLICT.*theta2, data_hash"):
        registry.register_draft(model_facts(1, theta2=0.31, data_hash="other"))


def test_the_opposite_verdict_is_refused(registry_url: str) -> None:
    registry = Registry(registry_url)
    version = _approve(registry, 1)
    with pytest.raises(InputError, match="may not go from approved to rejected"):
        registry.record_verdict(version, approved=False, notes="changed my mind")


@pytest.mark.parametrize("notes", ["", "  \n\t "])
def test_a_verdict_without_a_reason_is_refused(registry_url: str, notes: str) -> None:
    registry = Registry(registry_url)
    facts = model_facts(1)
    registry.register_draft(facts)
    registry.register_candidate(facts.model_version)
    with pytest.raises(InputError, match="verdict_has_notes"):
        registry.record_verdict(facts.model_version, approved=False, notes=notes)


def test_a_rejected_model_is_never_deployed(registry_url: str) -> None:
    registry = Registry(registry_url)
    facts = model_facts(1)
    registry.register_draft(facts)
    registry.register_candidate(facts.model_version)
    registry.record_verdict(facts.model_version, approved=False, notes="Sharpe 0.2 is not above 1.2")
    with pytest.raises(InputError, match="may not go from rejected to deployed"):
        _deploy(registry, facts.model_version, None)
    assert registry.deployed() is None


def test_a_verdict_against_another_model_than_the_deployed_one_blocks(registry_url: str) -> None:
    registry = Registry(registry_url)
    first, second = _approve(registry, 1), _approve(registry, 2)
    _deploy(registry, first, None)
    with pytest.raises(BlockedError, match=f"compares with no model, but {first} is deployed"):
        _deploy(registry, second, None)


def test_of_two_deployments_at_once_one_is_blocked(registry_url: str) -> None:
    registry = Registry(registry_url)
    versions = [_approve(registry, number) for number in (1, 2)]
    start = threading.Barrier(2)
    ends: list[str] = []

    def deploy(version: str) -> None:
        start.wait()
        try:
            _deploy(Registry(registry_url), version, None)
        except BlockedError:
            ends.append("blocked")
        else:
            ends.append("deployed")

    threads = [threading.Thread(target=deploy, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["blocked", "deployed"]


def test_the_deployed_model_and_its_predecessor_outlive_the_kept_versions(registry_url: str) -> None:
    registry = Registry(registry_url)
    versions = [_approve(registry, number) for number in range(6)]
    _deploy(registry, versions[0], None)
    _deploy(registry, versions[2], versions[0])
    assert registry.beyond(2) == [versions[3], versions[1]]
    assert registry.beyond(6) == []


UNREACHABLE = "postgresql://core:s3cret@127.0.0.1:1/core"


@pytest.mark.parametrize(
    "call",
    [
        lambda: Registry(UNREACHABLE).deployed(),
        lambda: Registry(UNREACHABLE).register_candidate("v"),
        lambda: Audit(UNREACHABLE).runs(1),
    ],
)
def test_a_server_out_of_reach_is_transient_and_keeps_the_password_to_itself(call: Callable[[], object]) -> None:
    with pytest.raises(TransientError, match=r"DATABASE_SERVER_UNREACHABLE.*127\.0\.0\.1") as caught:
        call()
    assert "s3cret" not in str(caught.value)


def test_a_database_without_tables_asks_for_the_upgrade(postgres_url: str) -> None:
    with pytest.raises(InputError, match="database upgrade"):
        Registry(postgres_url).deployed()


def test_a_wrong_database_or_address_is_bad_input(postgres_url: str) -> None:
    malformed = ("not a url", "postgresql://localhost:port/core", "postgresql://localhost/core?no_such_option=1")
    for url in (postgres_url.replace("/test_", "/absent_"), *malformed):
        with pytest.raises(CoreError) as caught:
            Registry(url).deployed()
        assert caught.value.exit_code == 20
