"""A chain killed at every task and started again ends as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.chain import CHAIN, ChainHere, Ended, assert_passed, command_of
from tests.fixtures import markets
from tests.fixtures.command_line import Command
from tests.fixtures.config_tree import change

pytestmark = pytest.mark.slow

_EVENTS = {"ingest": "symbol_imported", "train": "progress"}
"""What a task has logged when it is killed."""
_FILES = {
    "catalog": "run.json",
    "gate-canonical": "great_expectations.yml",
    "gate-index": "great_expectations.yml",
    "features": "extreme_rows.parquet",
    "gate-features": "great_expectations.yml",
    "gate-predictions": "passed.json",
    "backtest": "replay.json",
    "theta": "theta.json",
    "report": "report.html",
    "publish": "result.json",
    "infer": "signal.json",
}
"""The file that lacks but its name when any other is killed: its last one, or an earlier one where that comes late."""


def _contents(state: Path) -> dict[str, str]:
    """Checksums of the one bundle a state folder holds."""
    (bundle,) = (path for path in (state / "archive" / "models").iterdir() if path.is_dir() and path.name[0] != ".")
    checksums = json.loads((bundle / "checksums.json").read_text(encoding="utf-8"))
    return {"version": bundle.name, **checksums.get("files", checksums)}


def test_killed_at_any_task_and_started_again_it_ends_the_same(
    tmp_path: Path, postgres_url: str, redis_url: str, registry_url: str
) -> None:
    config = markets.tiny(tmp_path)
    change(config, "retrain_policy.yaml", "workers", 2)
    calm = ChainHere.at(tmp_path / "calm", config, registry_url, redis_url)
    calm.prepare()
    assert_passed(calm.run())
    harried = ChainHere.at(tmp_path / "harried", config, postgres_url, redis_url)
    harried.prepare()
    ends: dict[str, Ended] = {}
    for name in CHAIN:
        options = harried.options(name, ends)
        _kill_midway(Command(config, harried.environ), name, command_of(name), *options)
        ends[name] = harried.task(name, *options)
    assert_passed(ends)
    assert _contents(tmp_path / "harried") == _contents(tmp_path / "calm")


def _kill_midway(command: Command, name: str, *words: str) -> None:
    if name in _EVENTS:
        command.kill_at_event(_EVENTS[name], *words)
    else:
        command.kill_at_file(_FILES[name], *words)
