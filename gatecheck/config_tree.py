"""The product's configuration with one market's changes: a tree that the tasks read as any other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from core.errors import InputError
from gatecheck.plan import Market, Plan
from tasks.context import REPOSITORY

ENVIRONMENT: Final = "dev"
_CONFIGS: Final = REPOSITORY / "configs"


def write_tree(plan: Plan, market: Market, folder: Path) -> Path:
    """Write the market's configuration below `folder`, over an earlier one, and return its root.

    The adoption limits, costs and all else that the plan does not name stand as they do in the repository.

    Raises:
        InputError: the dev environment has no simulator or too few pairs, or the plan names a key there is not.
    """
    root = folder / "configs"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(_CONFIGS, root)
    overlay = root / "envs" / ENVIRONMENT
    with _edited(overlay / "sources.yaml") as sources:
        simulator = _simulator(sources["providers"]["value"])
        _update(simulator, {**market.kind.market, "seed": market.seed}, "the simulator")
        simulator["pairs"] = simulator["pairs"][: plan.pairs]
        for pair in simulator["pairs"]:
            _update(pair, market.kind.pairs, "a simulated pair")
        sources["providers"]["value"] = [simulator]
    legs = {pair[leg] for pair in simulator["pairs"] for leg in ("a", "b")}
    with _edited(overlay / "universe.yaml") as universe:
        symbols = universe["symbols"]["value"]
        universe["symbols"]["value"] = {name: symbol for name, symbol in symbols.items() if name in legs}
        universe["pairs"]["value"] = [pair for pair in universe["pairs"]["value"] if {pair["a"], pair["b"]} <= legs]
    for file, changes in plan.settings.items():
        with _edited(root / "base" / f"{file}.yaml") as content:
            for key, value in changes.items():
                _set(content, key, value, f"configs/base/{file}.yaml")
    return root


@contextmanager
def _edited(path: Path) -> Iterator[dict[str, Any]]:
    """The content of a YAML file, written back at the end of the block."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    yield content
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def _simulator(providers: list[dict[str, Any]]) -> dict[str, Any]:
    for provider in providers:
        if provider["kind"] == "simulator":
            return provider
    raise _unusable("the dev environment has no simulator", "configs/envs/dev/sources.yaml")


def _update(entry: dict[str, Any], changes: dict[str, Any], what: str) -> None:
    unknown = sorted(set(changes) - set(entry))
    if unknown:
        raise _unusable(f"{what} has no key {', '.join(unknown)}", "configs/envs/dev/sources.yaml")
    entry.update(changes)


def _set(content: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set a dotted key below a top-level entry's `value`."""
    first, *rest = key.split(".")
    node, path = content.get(first, {}), ["value", *rest]
    for part in path[:-1]:
        node = node.get(part, {})
    if path[-1] not in node:
        raise _unusable(f"there is no key {key}", where)
    node[path[-1]] = value


def _unusable(message: str, where: str) -> InputError:
    return InputError("GATECHECK_PLAN_INVALID", message, where=where, remedy="mend the plan of markets")
