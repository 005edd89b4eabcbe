"""One row an attempt in core.task_runs, whatever the attempt comes to and whatever the servers do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa

from core.errors import QualityError
from core.postgres import open_engine, transaction
from core.stores.tables import TASK_RUNS
from core.telemetry.heartbeat import HEARTBEATS
from laptop.flows import FIRST_FLOW, FLOWS
from tasks import gate, keys, verify
from tasks.context import TaskContext, TaskResult
from tasks.gates import Gate
from tests.fixtures.command_line import Command
from tests.fixtures.config_tree import CONFIGS
from tests.fixtures.tiny_market import NOWHERE


def rows(url: str) -> list[Any]:
    with transaction(open_engine(url)) as connection:
        return list(connection.execute(sa.select(TASK_RUNS).order_by(TASK_RUNS.c.id)))


@pytest.fixture
def command(tmp_path: Path, registry_url: str, redis_url: str) -> Command:
    return Command.over(CONFIGS, tmp_path, registry_url, redis_url)


def test_a_task_that_is_done_leaves_what_it_found(
    command: Command, registry_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def body(context: TaskContext, *_: object) -> TaskResult:
        with redis.Redis.from_url(redis_url) as client:
            while not (fields := client.hkeys(HEARTBEATS)):
                pass
            seen.extend(fields)
        return TaskResult(outputs={"run_id": "r1"}, metrics={"sharpe": 1.5, "unknown": float("nan")})

    monkeypatch.setattr(keys, "make_pair", body)
    command.last_line("keys", "init", trace_id="chain-1")
    assert seen == [b"chain-1/keys"]
    (row,) = rows(registry_url)
    assert (row.task, row.shard, row.trace_id, row.run_id) == ("keys", None, "chain-1", "r1")
    assert (row.status, row.exit_code, row.metrics) == ("done", 0, {"sharpe": 1.5})
    assert row.seconds > 0


def test_gates_side_by_side_beat_and_advance_each_under_its_own_name(
    command: Command, registry_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are those the flow calls its gates by."""
    seen: list[set[str]] = []

    def body(context: TaskContext, name: Gate, _run_id: str) -> TaskResult:
        context.progress.advance(1, 1, "steps")
        if name is not Gate.INDEX:
            command.last_line("gate", "--name=index", "--run-id=r1", trace_id=context.trace_id)
            return TaskResult(outputs={})
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            for _ in range(100_000):
                if client.hlen(HEARTBEATS) == 2:
                    break
            seen.extend([set(client.hkeys(HEARTBEATS)), set(client.hkeys("core:progress:chain-1"))])
        return TaskResult(outputs={})

    monkeypatch.setattr(gate, "run_gate_of", body)
    command.last_line("gate", "--name=canonical", "--run-id=r1", trace_id="chain-1")
    gates = {"gate-canonical", "gate-index"}
    assert seen == [{f"chain-1/{name}" for name in gates}, gates]
    assert gates < set(FLOWS[FIRST_FLOW])
    assert [(row.task, row.shard) for row in rows(registry_url)] == [("gate", None)] * 2


def test_a_task_that_fails_or_breaks_leaves_its_exit_code(
    command: Command, registry_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = QualityError("GATE_TEST_RED", "bad bars", where="here", remedy="mend them")
    for error in (refusal, ZeroDivisionError()):

        def body(*_: object, error: Exception = error, **_named: object) -> TaskResult:
            raise error

        monkeypatch.setattr(verify, "verify_bundle", body)
        assert command.run("verify", "--model-version", "v1").exit_code == (10 if error is refusal else 1)
    assert [(row.task, row.status, row.exit_code, row.metrics) for row in rows(registry_url)] == [
        ("verify", "failed", 10, {}),
        ("verify", "failed", 1, {}),
    ]


@pytest.mark.parametrize("reachable", [False, True])
def test_without_servers_or_tables_the_result_stands(tmp_path: Path, postgres_url: str, reachable: bool) -> None:
    servers = (postgres_url, NOWHERE[1]) if reachable else NOWHERE
    result = Command.over(CONFIGS, tmp_path, *servers).run("keys", "init")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["outputs"]["created"] is True
    warnings = [json.loads(line)["event"] for line in result.stderr.splitlines()]
    assert sorted(warnings) == ["heartbeat_unreachable", "task_run_not_recorded"]
