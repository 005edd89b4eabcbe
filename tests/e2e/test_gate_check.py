"""`python -m gatecheck` over two small markets: a verdict on each, the rates, and nothing done twice."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from laptop.environment import REPOSITORY

pytestmark = pytest.mark.slow
PLAN = Path(__file__).parent / "gate_check_small.yaml"


def _check(state: Path, plan: Path) -> tuple[int, str, dict[str, Any]]:
    """Exit code, everything on standard output, and its last line."""
    command = [sys.executable, "-m", "gatecheck", "--state", str(state), "--plan", str(plan), "--workers", "2"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout.strip(), done.stderr[-3000:]
    return done.returncode, done.stdout, json.loads(done.stdout.strip().splitlines()[-1])


def test_a_market_with_an_edge_is_approved_and_one_without_is_not(server_folder: Path) -> None:
    code, shown, last = _check(server_folder, PLAN)
    assert code == 0, shown
    assert last == {
        "null_markets": 1,
        "null_approved": 0,
        "edge_markets": 1,
        "edge_approved": 1,
        "power": {"30": 1.0},
        "failed": 0,
        "unfinished": 0,
    }
    state = server_folder / "gate-check"
    with (state / "results.csv").open(encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["correlated_walks_11"]["outcome"] == "rejected"
    assert "Sharpe" in rows["correlated_walks_11"]["reasons"]
    assert rows["half_life_30_12"]["outcome"] == "approved"
    assert not list(state.glob("markets/*/archive")), "bars and models of finished markets are deleted"
    code, shown, again = _check(server_folder, PLAN)
    assert (code, again) == (0, last)
    assert "2 of them finished by an earlier run; 0 to run" in shown


def test_a_chain_that_fails_is_neither_approved_nor_rejected(server_folder: Path) -> None:
    content = yaml.safe_load(PLAN.read_text(encoding="utf-8")) | {"pairs": 2}
    content["settings"]["pipeline_policy"]["dq_thresholds.min_history_bars"] = 1_000_000
    content["edge"] = []
    plan = server_folder / "plan.yaml"
    plan.write_text(yaml.safe_dump(content), encoding="utf-8")
    code, shown, last = _check(server_folder, plan)
    assert code == 1
    assert (last["null_markets"], last["null_approved"], last["failed"]) == (0, 0, 1)
    assert "FAILED correlated_walks_11: DATA_HISTORY_SHORT" in shown
