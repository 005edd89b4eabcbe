"""Features in parts: whatever shards ran, the cache, the report and what the gate sees are the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from core.errors import InputError
from core.stores.run_folder import RunFolder
from tasks.context import TaskContext
from tasks.features import build_run, build_shard
from tasks.shard import Shard
from tests.fixtures.tiny_market import TinyMarket, written
from tests.integration.lake.test_shards import shard_runs
from tests.integration.lake.world import files


@pytest.fixture(scope="module")
def straight(tiny_market: TinyMarket, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return _built(tiny_market, tmp_path_factory.mktemp("features"), [])


def _built(market: TinyMarket, features: Path, runs: list[Shard]) -> dict[str, bytes]:
    """A cache of its own, filled by these shards and then by the task itself; every file of both."""
    context, run = _context(market, features), market.new_run()
    for shard in runs:
        build_shard(context, run.path.name, shard)
    build_run(context, run.path.name)
    return {**files(features), **written(run, "features")}


def _context(market: TinyMarket, features: Path) -> TaskContext:
    context = market.context()
    return replace(context, roots=replace(context.roots, features=features))


@given(runs=shard_runs())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shards_in_any_order_give_the_same_features(
    tiny_market: TinyMarket,
    straight: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    runs: list[Shard],
) -> None:
    assert _built(tiny_market, tmp_path_factory.mktemp("features"), runs) == straight


def test_shards_divide_the_pairs_and_leave_nothing_to_compute(tiny_market: TinyMarket, tmp_path: Path) -> None:
    context, run = _context(tiny_market, tmp_path), tiny_market.new_run()
    outputs = [build_shard(context, run.path.name, Shard(number, 2)).outputs for number in (1, 2)]
    assert [each["pairs"] for each in outputs] == [2, 1]
    assert written(run, "features") == {"features/extreme_rows.parquet": run.extreme_rows.read_bytes()}
    whole = build_run(context, run.path.name).outputs
    assert (whole["months_computed"], whole["months_cached"]) == (0, sum(each["months_computed"] for each in outputs))


def test_a_shard_needs_the_gates_too(tiny_market: TinyMarket) -> None:
    run = tiny_market.new_run()
    _forget(run)
    with pytest.raises(InputError, match="gate canonical"):
        build_shard(tiny_market.context(), run.path.name, Shard(1, 2))
    words = ["features", "--run-id", run.path.name, "--shard=2/2"]
    assert tiny_market.command().refusal(*words)[:2] == (20, "GATE_RESULT_MISSING")


def _forget(run: RunFolder) -> None:
    (run.gate("canonical") / "passed.json").unlink()
