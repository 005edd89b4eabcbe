"""Configuration trees of simulated markets, made from the product's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.fixtures.config_tree import change, copy_tree

SMALL_PAIRS = 3


def without_edge(folder: Path) -> Path:
    """The demonstration market with spreads that never revert."""
    root = copy_tree(folder)

    def flatten(provider: dict[str, Any]) -> None:
        for pair in provider["pairs"]:
            pair["half_life_bars"] = 0.0

    _change_simulator(root, flatten)
    return root


def small(folder: Path) -> Path:
    """Three pairs and two years of the demonstration market: the whole chain in seconds, not a judgement."""
    root = copy_tree(folder)

    def shorten(provider: dict[str, Any]) -> None:
        provider["months"] = 25
        provider["pairs"] = provider["pairs"][:SMALL_PAIRS]

    _change_simulator(root, shorten)
    universe = root / "envs" / "dev" / "universe.yaml"
    content = yaml.safe_load(universe.read_text(encoding="utf-8"))
    content["pairs"]["value"] = content["pairs"]["value"][:SMALL_PAIRS]
    legs = {pair[leg] for pair in content["pairs"]["value"] for leg in ("a", "b")}
    content["symbols"]["value"] = {name: symbol for name, symbol in content["symbols"]["value"].items() if name in legs}
    universe.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    change(root, "pipeline_policy.yaml", "history_lookback_months", 25)
    change(root, "retrain_policy.yaml", "history_months", 24)
    change(root, "retrain_policy.yaml", "walk_forward.adoption_window_months", 6)
    for model in ("ai1", "ai2", "ai3"):
        change(root, "retrain_policy.yaml", f"models.{model}.iterations", 30)
    change(root, "retrain_policy.yaml", "min_starts", 100)
    return root


def _change_simulator(root: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = root / "envs" / "dev" / "sources.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for provider in content["providers"]["value"]:
        if provider["kind"] == "simulator":
            edit(provider)
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
