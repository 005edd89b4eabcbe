"""`python -m gatecheck.calibrate` on two pairs: what is learned on one market, measured on two others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from laptop.environment import REPOSITORY

pytestmark = pytest.mark.slow
PLAN = Path(__file__).parent / "gate_check_small.yaml"


def _calibrate(state: Path, plan: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gatecheck.calibrate", "--state", str(state), "--plan", str(plan)]
    command += ["--spread-sd", "30", "--seeds", "1", "--histories", "2"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_models_that_learned_a_strong_edge_earn_on_unseen_histories(server_folder: Path) -> None:
    content = yaml.safe_load(PLAN.read_text(encoding="utf-8")) | {"pairs": 2}
    content["break_even"] = content["edge"]
    plan = server_folder / "plan.yaml"
    plan.write_text(yaml.safe_dump(content), encoding="utf-8")
    done = _calibrate(server_folder, plan)
    assert (done.returncode, done.stderr) == (0, "")
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["markets"] == {"30": 1}
    assert last["sharpe"]["30"] > 0.0
    assert last["break_even_spread_sd_bp"] is None
    for words in ("every start: net Sharpe", "at θ", "history 2 of 2", "min left"):
        assert words in done.stdout
    state = server_folder / "gate-check-calibration"
    assert not list(state.glob("markets/*/archive"))
    assert '"event": "verdict"' in (state / "markets" / "spread_30_0" / "log.jsonl").read_text(encoding="utf-8")


def test_a_plan_without_a_break_even_kind_is_refused(server_folder: Path) -> None:
    done = _calibrate(server_folder, PLAN)
    assert (done.returncode, done.stderr) == (20, "")
    assert json.loads(done.stdout.splitlines()[-1])["error"].startswith("GATECHECK_PLAN_INVALID")
