"""The configuration is read whole or refused whole, with every fault named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from core.config.faults import ConfigurationError
from core.config.loader import load_settings
from core.config.model import ConfigModel
from core.config.settings import Settings
from tests.fixtures.config_tree import CONFIGS, change, copy_tree, read_values, write


def _faults(root: Path, environment: str = "prod") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(root, environment)
    assert caught.value.exit_code == 20
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("environment", ["dev", "stg", "prod"])
def test_the_shipped_configuration_is_whole(environment: str) -> None:
    settings = load_settings(CONFIGS, environment)
    assert settings.environment.name == environment
    assert settings.core_policy.label.ai1.horizon_bars == 48


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for subclass in model.__subclasses__():
        found |= _models(subclass)
    return found


def test_no_configuration_key_has_a_default_in_code() -> None:
    assert Settings in _models(ConfigModel)
    for model in _models(ConfigModel) - {ConfigModel}:
        optional = [name for name, field in model.model_fields.items() if not field.is_required()]
        assert optional == [], model.__name__


def test_settings_are_frozen() -> None:
    settings = load_settings(CONFIGS, "dev")
    with pytest.raises(ValueError, match="frozen"):
        settings.core_policy.theta1_initial = 0.1  # type: ignore[misc]


def test_an_environment_replaces_whole_keys_and_nothing_else(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    overlay = root / "envs" / "stg" / "dd_policy.yaml"
    overlay.write_text("DD_WARN: { value: 0.01 }\n", encoding="utf-8")
    policy = load_settings(root, "stg").dd_policy
    assert (policy.DD_WARN, policy.DD_HALT) == (0.01, load_settings(root, "prod").dd_policy.DD_HALT)


def test_one_report_lists_every_fault_of_every_file(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    change(root, "core_policy.yaml", "theta1_initial", 1.7)
    change(root, "retrain_policy.yaml", "seed", "many")
    change(root, "backtest_policy.yaml", "capital.initial_usd", -5.0)
    change(root, "universe.yaml", "pairs.0.a", "NOSUCH")
    content = read_values(root, "dd_policy.yaml")
    content["DD_WRAN"] = {"value": 0.1}
    del content["DD_HALT"]
    write(root, "dd_policy.yaml", content)
    faults = _faults(root)
    for file, key in [
        ("core_policy.yaml", "theta1_initial"),
        ("retrain_policy.yaml", "seed"),
        ("backtest_policy.yaml", "capital.initial_usd"),
        ("universe.yaml", "pairs.0.a"),
        ("dd_policy.yaml", "DD_WRAN"),
        ("dd_policy.yaml", "DD_HALT"),
    ]:
        assert any(fault.startswith(f"{file}: {key}: ") for fault in faults), (file, key, faults)
    assert len(faults) == 6


def test_the_report_names_where_and_what_to_do(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    change(root, "core_policy.yaml", "theta1_initial", 1.7)
    with pytest.raises(ConfigurationError, match=r"CONFIG_SCHEMA_INVALID: 1 fault in .*\n  - core_policy.yaml: theta1"):
        load_settings(root, "prod")


@pytest.mark.parametrize(
    ("file", "key", "value", "expected"),
    [
        ("universe.yaml", "pairs.1.b", "NOSUCH", "a symbol of this file"),
        ("cost_table.yaml", "overrides", {"NOSUCH": None}, "NOSUCH"),
        ("ml_core_storage.yaml", "runs_root", "canonical/runs", "a place outside canonical_root"),
        ("ml_core_storage.yaml", "runs_root", "canonical", "a place outside canonical_root"),
        ("environment.yaml", "signing.private_key", "models/signing.pem", "a place outside models_root"),
        ("core_policy.yaml", "theta1_initial", 0.9, "within theta_search_range"),
        ("core_policy.yaml", "decision.z_stop", 1.5, "z_entry < decision.z_stop"),
        ("core_policy.yaml", "model_inputs", ["dz"], "names that stand in model_inputs"),
        ("core_policy.yaml", "model_inputs", ["velocity"], "Input should be"),
        ("core_policy.yaml", "theta_search.trials", 49, "greater than or equal to 50"),
        ("core_policy.yaml", "theta_search.trials", 101, "less than or equal to 100"),
        ("retrain_policy.yaml", "history_months", 480, "at most history_lookback_months"),
        ("retrain_policy.yaml", "history_months", 20, "at least 3 months for the θ search"),
        ("retrain_policy.yaml", "versions_kept", 3, "greater than or equal to 5"),
        ("retrain_policy.yaml", "leak_certificate.refits", 9, "at most leak_certificate.moments (3)"),
        ("retrain_policy.yaml", "retrain_cron", "monthly", "five cron fields"),
        ("retrain_policy.yaml", "heartbeat_lost_seconds", 119, "at least twice heartbeat_seconds (60)"),
        ("slack_policy.yaml", "events.verdict.template", "{modell}", "not modell"),
        ("slack_policy.yaml", "events.verdict.template", "{status.value}", "a plain field name in braces"),
        ("slack_policy.yaml", "events.verdict.severity", "grave", "'critical', 'warning' or 'info'"),
        ("slack_policy.yaml", "events", {}, "missing: approval_refused"),
        ("slack_policy.yaml", "channels.info", "analytics", "pattern"),
        (
            "observability_policy.yaml",
            "notifications.pagerduty.base_url",
            "http://localhost:1",
            "https:// in production",
        ),
        ("observability_policy.yaml", "watch.delivery.outage.max_seconds", 0.5, "at least first_seconds (1.0)"),
        ("data_retention.yaml", "canonical_months", 2, "at least history_lookback_months"),
        ("pipeline_policy.yaml", "timeframe_default", "1d", "one of timeframe_allowed"),
        ("backtest_policy.yaml", "daily_mark.timezone", "Mars/Base", "an IANA time zone"),
        ("sources.yaml", "providers.0.layout.timezone", "Mars/Base", "an IANA time zone"),
        ("backtest_policy.yaml", "daily_mark.time", "25:00", "pattern"),
        ("backtest_policy.yaml", "adoption.paired.unproven_decides", "ask", "'approve' or 'reject'"),
        ("backtest_policy.yaml", "adoption.paired.confidence", 0.5, "greater than 0.5"),
        ("backtest_policy.yaml", "adoption.paired.resamples", 99, "greater than or equal to 100"),
        ("backtest_policy.yaml", "adoption.deflated_sharpe.search_min", 1.1, "less than or equal to 1"),
        ("backtest_policy.yaml", "adoption.overfitting.blocks", 7, "multiple of 2"),
        ("backtest_policy.yaml", "adoption.overfitting.blocks", 22, "less than or equal to 20"),
        ("backtest_policy.yaml", "adoption.observed_days_share_min", -0.1, "greater than or equal to 0"),
        ("environment.yaml", "docker.image", "tasks:latest", "pinned, not 'latest'"),
        ("environment.yaml", "docker.user", "0:0", "pattern"),
        ("environment.yaml", "docker.user", "core", "pattern"),
        ("environment.yaml", "docker.volumes.archive", "/srv/archive", "pattern"),
        ("environment.yaml", "docker.tmp_size", "512", "pattern"),
        ("environment.yaml", "docker.cpus", 0.0, "greater than 0"),
        ("environment.yaml", "publish_approval.timeout_minutes", 0, "greater than or equal to 1"),
        ("retrain_policy.yaml", "retries.count", 3, "less than or equal to 2"),
        ("retrain_policy.yaml", "shards", 0, "greater than or equal to 1"),
        ("retrain_policy.yaml", "task_timeout_seconds.by_task.train", 0, "greater than or equal to 1"),
        ("environment.yaml", "kubernetes.image", "tasks:latest", "pinned, not 'latest'"),
        ("environment.yaml", "kubernetes.cpu.request_milli", 9000, "at most kubernetes.cpu.limit_milli"),
        ("environment.yaml", "signing.public_key", "public/signing.pub", "both keys in one folder"),
        ("environment.yaml", "signing", {"private_key": "a.pem", "public_key": "a.pub"}, "both keys in one folder"),
        ("environment.yaml", "kubernetes.memory", "3g", "pattern"),
        ("environment.yaml", "kubernetes.secret", "Core_Secrets", "pattern"),
        ("ml_core_storage.yaml", "canonical_root", "/mnt/x", "pattern"),
        ("core_policy.yaml", "label.ai1.horizon_bars", 48.5, "integer"),
        ("core_policy.yaml", "label.ai1.horizon_bars", "48", "integer"),
        ("core_policy.yaml", "scaling.clip", float("nan"), "finite"),
    ],
)
def test_each_contradiction_is_named(tmp_path: Path, file: str, key: str, value: object, expected: str) -> None:
    root = copy_tree(tmp_path)
    change(root, file, key, value)
    faults = _faults(root)
    assert any(fault.startswith(file) and expected in fault for fault in faults), faults


def test_a_missing_an_unknown_and_an_unreadable_file_are_faults(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    (root / "base" / "dd_policy.yaml").unlink()
    (root / "base" / "core_polcy.yaml").write_text("x: { value: 1 }", encoding="utf-8")
    (root / "base" / "slack_policy.yaml").write_text("a: [", encoding="utf-8")
    (root / "base" / "runbook_policy.yaml").write_text("just text", encoding="utf-8")
    faults = "\n".join(_faults(root))
    for name in ("base/dd_policy.yaml", "base/core_polcy.yaml", "base/slack_policy.yaml", "base/runbook_policy.yaml"):
        assert name in faults


def test_a_bare_value_a_doubled_key_and_a_stray_word_are_faults(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    (root / "base" / "dd_policy.yaml").write_text(
        "DD_WARN: 0.05\nDD_HALT: { value: 0.08, vlue: 1 }\n", encoding="utf-8"
    )
    (root / "base" / "analytics_policy.yaml").write_text(
        "cache_ttl_seconds: { value: 1 }\ncache_ttl_seconds: { value: 2 }\n", encoding="utf-8"
    )
    faults = "\n".join(_faults(root))
    assert "DD_WARN: an entry {value: …}" in faults
    assert "DD_HALT: an entry {value: …}" in faults
    assert "'cache_ttl_seconds' stands twice" in faults


@pytest.mark.parametrize(
    "text",
    [
        "? [a, b]\n: { value: 1 }",
        "calendars: { value: { ? [a, b] : {} } }",
        "calendars: { value: { 2020-01-01: {} } }",
        "calendars: { value: 2020-13-45 }",
        "calendars: { value: !!set { a, b } }",
        "calendars: { value: !!binary aGVsbG8= }",
    ],
)
def test_yaml_that_json_cannot_hold_is_a_fault(tmp_path: Path, text: str) -> None:
    root = copy_tree(tmp_path)
    (root / "base" / "universe.yaml").write_text(text, encoding="utf-8")
    assert any("universe.yaml" in fault for fault in _faults(root))


def test_a_date_without_quotes_is_the_text_it_looks_like(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    for environment in ("base", "envs/dev"):
        path = root / environment / "sources.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace('"2021-01-01"', "2021-01-01"), encoding="utf-8")
    assert load_settings(root, "dev") == load_settings(CONFIGS, "dev")


def test_an_environment_that_names_itself_otherwise_is_refused(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    (root / "envs" / "prod" / "environment.yaml").write_text("name: { value: stg }\n", encoding="utf-8")
    assert _faults(root) == ["environment.yaml: name: prod, the environment it is read for"]


def test_an_unknown_environment_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert "one of dev, stg, prod" in _faults(CONFIGS, "qa")[0]
    assert "a folder of YAML files" in _faults(tmp_path)[0]
