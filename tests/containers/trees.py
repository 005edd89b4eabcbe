"""Configuration trees of the containers' tests."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

import yaml

from compose.configuration import CONTAINER_ENVIRONMENT
from tests.fixtures import markets
from tests.fixtures.config_tree import change

TIMEOUT_SECONDS = 60
"""How long a task of the fault stack may take before it is ended."""
APPROVAL_MINUTES = 1


def fault_tree(folder: Path, stack: str) -> Path:
    """Three pairs whose model is always approved, quick retries, a person asked before publishing, alerts to fakes."""
    root = markets.small(folder)
    _lenient(root)
    change(root, "retrain_policy.yaml", "retries.delay_seconds", 2.0)
    change(root, "retrain_policy.yaml", "task_timeout_seconds", {"general": TIMEOUT_SECONDS, "by_task": {}})
    change(root, "retrain_policy.yaml", "heartbeat_seconds", 2)
    change(root, "retrain_policy.yaml", "heartbeat_lost_seconds", 20)
    change(root, "observability_policy.yaml", "notifications.pagerduty.base_url", "http://pagerduty:8080")
    change(root, "observability_policy.yaml", "watch.delivery.outage", {"first_seconds": 0.5, "max_seconds": 2.0})
    environment = container_environment(stack)
    environment["publish_approval"] = {"value": {"required": True, "timeout_minutes": APPROVAL_MINUTES}}
    environment["required_variables"]["value"] += ["SLACK_WEBHOOK_URL", "PAGERDUTY_INTEGRATION_KEY"]
    write_environment(root, environment)
    return root


def scale_tree(folder: Path) -> Path:
    """Three pairs whose model is always approved and published without asking, and quick retries."""
    root = markets.small(folder)
    _lenient(root)
    change(root, "retrain_policy.yaml", "retries.delay_seconds", 2.0)
    return root


def container_environment(stack: str) -> dict[str, Any]:
    """What `make up` puts in the place of a laptop's environment."""
    text = Template(CONTAINER_ENVIRONMENT.read_text(encoding="utf-8")).substitute(STACK=stack)
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def write_environment(root: Path, environment: dict[str, Any]) -> None:
    (root / "envs" / "dev" / "environment.yaml").write_text(yaml.safe_dump(environment), encoding="utf-8")


def _lenient(root: Path) -> None:
    """Limits every model keeps: the tests are of the chain, not of the market."""
    limits = {"sharpe_min": -99.0, "max_drawdown": 1.0, "trades_per_year_min": 0.1, "psr_min": 0.0}
    limits |= {"deflated_sharpe.search_min": 0.0, "deflated_sharpe.adoption_min": 0.0}
    limits |= {"overfitting.loss_probability_max": 1.0, "observed_days_share_min": 0.0, "comparison_days_min": 10_000}
    for key, value in limits.items():
        change(root, "backtest_policy.yaml", f"adoption.{key}", value)
