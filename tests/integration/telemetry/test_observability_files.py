"""Rules, dashboard and documentation against each other and against what the exporter serves."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import redis
import yaml

from core.config.loader import load_settings
from core.stores.audit import Audit
from core.stores.tables import RunStatus
from core.telemetry.heartbeat import HEARTBEATS
from tests.fixtures.command_line import REPOSITORY
from tests.fixtures.config_tree import CONFIGS
from tests.integration.telemetry.metrics import record, task_metrics

OBSERVABILITY: Final = REPOSITORY / "observability"
PROMETHEUS: Final = OBSERVABILITY / "prometheus"
DASHBOARD: Final = OBSERVABILITY / "grafana" / "dashboard.json"
OF_PROMETHEUS_ITSELF: Final = {"up", "ALERTS"}
_METRIC: Final = re.compile(r"\b(?:core|data|dq|bt)_[a-z_]+\b|\bup\b|\bALERTS\b")


def rule_files() -> list[Path]:
    return sorted(PROMETHEUS.glob("rules/*.yml"))


def rules() -> list[dict[str, Any]]:
    contents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in rule_files()]
    return [rule for content in contents for group in content["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"]


def metrics_in(expression: str) -> set[str]:
    """The metrics an expression reads; what stands in braces or behind `by` are labels."""
    plain = re.sub(r"\{[^}]*\}|\b(?:by|on)\s*\([^)]*\)", "", expression)
    return set(_METRIC.findall(plain))


@pytest.fixture
def families(registry_url: str, redis_url: str) -> dict[str, tuple[str, str]]:
    """Everything the exporter can serve: type and labels by the name documentation gives the metric."""
    for task in ("ingest", "theta"):
        record(registry_url, task, metrics={"watermark": 1.0, "theta_best_score": 0.5})
    Audit(registry_url).record_run("core_publish_flow", "t1", RunStatus.SUCCEEDED, None, None)
    with redis.Redis.from_url(redis_url) as client:
        beat = {"at": 1.0, "started": 1.0, "host": "h", "pid": 1, "every": 60}
        client.hset(HEARTBEATS, "t1/train", orjson.dumps(beat))
    found = {}
    for metric in task_metrics(registry_url, redis_url).collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        labels = getattr(metric, "_labelnames")  # noqa: B009 - prometheus-client has no public way to ask
        found[name] = metric.type, ", ".join(labels) or "–"
    return found


def test_promtool_accepts_the_configuration_and_the_rules(promtool: str) -> None:
    for words in (["check", "config", str(PROMETHEUS / "prometheus.yml")], ["check", "rules", *map(str, rule_files())]):
        checked = subprocess.run([promtool, *words], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_fires_when_it_should_and_only_then(promtool: str) -> None:
    files = sorted(PROMETHEUS.glob("tests/*.yml"))
    tested = subprocess.run([promtool, "test", "rules", *map(str, files)], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    cases = [
        case for file in files for test in yaml.safe_load(file.read_text())["tests"] for case in test["alert_rule_test"]
    ]
    for rule in rules():
        outcomes = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]}
        assert outcomes == {True, False}, rule["alert"]


def test_every_alert_says_how_grave_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    severities = set(load_settings(CONFIGS, "prod").slack_policy.channels.model_dump()) - {"config_changes"}
    documented = (REPOSITORY / "docs" / "observability.md").read_text(encoding="utf-8")
    for rule in rules():
        assert rule["labels"]["severity"] in severities, rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["remedy"], rule["alert"]
        assert f"`{rule['alert']}`" in documented


def test_rules_and_panels_read_what_is_served_and_all_that_is_served_is_read(
    families: dict[str, tuple[str, str]],
) -> None:
    served = {
        name + suffix
        for name, (kind, _) in families.items()
        for suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }
    read = set().union(*map(metrics_in, expressions()))
    assert read <= served | OF_PROMETHEUS_ITSELF
    for name in families:
        assert any(metric.startswith(name) for metric in read), f"nobody looks at {name}"


def test_the_table_of_metrics_is_what_is_served(families: dict[str, tuple[str, str]]) -> None:
    text = (REPOSITORY / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    documented = {row[0].strip("`"): (row[1], row[2]) for row in rows if len(row) == 5}
    assert documented == families


def test_failures_alarm_when_retraining_is_paused() -> None:
    paused_after = load_settings(CONFIGS, "prod").retrain_policy.pause_after_failures
    (rule,) = (rule for rule in rules() if rule["alert"] == "CoreRetrainFailing")
    assert rule["expr"] == f"core_retrain_failures_in_a_row >= {paused_after}"


def test_the_port_scraped_is_the_policys() -> None:
    content = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = content["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    assert target.endswith(f":{load_settings(CONFIGS, 'prod').observability_policy.metrics.port}")
    assert all(f'job="{job["job_name"]}"' in rule["expr"] for rule in rules() if "up{" in rule["expr"])


def test_the_dashboard_is_one_grafana_can_show() -> None:
    content = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert {"uid", "title", "schemaVersion", "time", "refresh", "templating", "annotations"} <= set(content)
    (source,) = yaml.safe_load(
        (OBSERVABILITY / "grafana/provisioning/datasources/prometheus.yaml").read_text(encoding="utf-8")
    )["datasources"]
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["title"], panel["id"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])
        for place in (panel, *panel["targets"]):
            assert place["datasource"] == {"type": source["type"], "uid": source["uid"]}
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels()], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels())
