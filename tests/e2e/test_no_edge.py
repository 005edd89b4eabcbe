"""The chain of tasks on a simulated market without an edge: the gate says no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from tests.e2e.chain import ChainHere, assert_passed
from tests.fixtures import markets
from tests.unit.report.test_browser import WIDTHS, look_at

pytestmark = pytest.mark.slow


def test_a_market_without_edge_is_rejected(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    chain = ChainHere.at(tmp_path, markets.without_edge(tmp_path), postgres_url, redis_url)
    chain.prepare()
    ends = chain.run()
    assert_passed(ends)
    run = Path(ends["catalog"].last["outputs"]["run_dir"])
    verdict = json.loads((run / "theta" / "verdict.json").read_text())
    assert verdict["status"] == "rejected"
    assert verdict["reasons"]
    assert verdict["n_trades"] > 0
    assert verdict["stress"]["baseline"]["sharpe"] == verdict["sharpe"]
    starts = verdict["starts"]
    assert starts["n_candidates"] + sum(starts["untradable"].values()) == starts["n_starts"]
    assert ends["publish"].last["outputs"]["status"] == "rejected"
    assert ends["infer"].last["outputs"]["signal"] is None
    with redis.Redis.from_url(redis_url) as client:
        assert client.exists("core:signals") == 0
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    seen, complaints = look_at(page, tmp_path)
    assert "CONSOLE" not in complaints
    for width in WIDTHS:
        shown = seen[str(width)]
        assert (shown["beyond"], shown["scrolled"], shown["fetched"]) == ([], width, [])
        assert shown["plots"] == shown["shown"] == shown["drawn"] == page.count("<svg ") >= 18
        assert shown["title"].endswith("rejected")
    assert "11 of 11 checks hold" in page
