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


def fault_tree(folder: Path, stack: str) -> Path:
    """Three pairs whose model is always approved, quick retries, a person asked before publishing, alerts to fakes."""
    root = markets.small(folder)
    for key, value in {"sharpe_min": -99.0, "max_drawdown": 1.0, "trades_per_year_min": 0.0, "psr_min": 0.0}.items():
        change(root, "backtest_policy.yaml", f"adoption.{key}", value)
    for key, value in {"search_min": 0.0, "adoption_min": 0.0}.items():
        change(root, "backtest_policy.yaml", f"adoption.deflated_sharpe.{key}", value)
    change(root, "backtest_policy.yaml", "adoption.overfitting.loss_probability_max", 1.0)
    change(root, "backtest_policy.yaml", "adoption.observed_days_share_min", 0.0)
    change(root, "retrain_policy.yaml", "retries.delay_seconds", 2.0)
    change(root, "retrain_policy.yaml", "task_timeout_seconds", {"general": TIMEOUT_SECONDS, "by_task": {}})
    change(root, "retrain_policy.yaml", "heartbeat_seconds", 2)
    environment: dict[str, Any] = yaml.safe_load(
        Template(CONTAINER_ENVIRONMENT.read_text(encoding="utf-8")).substitute(STACK=stack)
    )
    environment["publish_approval"] = {"value": {"required": True, "timeout_minutes": 1}}
    environment["required_variables"]["value"] += ["SLACK_WEBHOOK_URL", "PAGERDUTY_INTEGRATION_KEY"]
    (root / "envs" / "dev" / "environment.yaml").write_text(yaml.safe_dump(environment), encoding="utf-8")
    return root
