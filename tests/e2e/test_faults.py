"""Faults a person meets: each ends in its exit code and an error that names what, where and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.chain import Chain, Ended
from tests.fixtures import markets
from tests.fixtures.config_tree import CONFIGS, change, copy_tree


def _refused(ended: Ended, exit_code: int, *words: str) -> None:
    assert ended.code == exit_code, ended.log[-2000:]
    if ended.last:
        assert ended.last["status"] == "failed"
        assert ended.last["error"]["remedy"]
    for word in words:
        assert word in ended.log, ended.log[-2000:]


def _chain(tmp_path: Path, **environ: str) -> Chain:
    chain = Chain.at(tmp_path, CONFIGS, "postgresql://127.0.0.1:1/core", "redis://127.0.0.1:1/0")
    return Chain(chain.config, {**chain.environ, **environ})


def test_missing_variables_are_all_named(tmp_path: Path) -> None:
    ended = _chain(tmp_path, POSTGRES_URL="", ARCHIVE_PATH="").task("catalog")
    _refused(ended, 20, "POSTGRES_URL", "ARCHIVE_PATH")
    assert not (tmp_path / "archive").exists()


def test_a_configuration_with_faults_starts_nothing(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    change(root, "core_policy.yaml", "theta1_initial", 7.0)
    change(root, "retrain_policy.yaml", "seed", "seven")
    chain = _chain(tmp_path)
    ended = Chain(root, chain.environ).task("ingest")
    _refused(ended, 20, "core_policy.yaml: theta1_initial", "retrain_policy.yaml: seed")
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("command", [("database", "upgrade"), ("registry", "list")])
def test_an_unreachable_postgresql_may_be_tried_again(tmp_path: Path, command: tuple[str, ...]) -> None:
    _refused(_chain(tmp_path).task(*command), 30, "127.0.0.1:1")


def test_an_unreachable_redis_stops_the_chain_before_it_works(tmp_path: Path, registry_url: str) -> None:
    chain = _chain(tmp_path, POSTGRES_URL=registry_url)
    _refused(chain.task("ingest"), 30, "127.0.0.1:1")
    assert not (tmp_path / "archive" / "canonical").exists()


def test_a_run_that_does_not_exist_is_named(tmp_path: Path, registry_url: str, redis_url: str) -> None:
    chain = _chain(tmp_path, POSTGRES_URL=registry_url, REDIS_URL=redis_url)
    _refused(chain.task("train", "--run-id", "none", "--model-version", "none"), 20, "run.json")


def test_a_truncated_file_leaves_nothing_half_written(tmp_path: Path, registry_url: str, redis_url: str) -> None:
    data = tmp_path / "bars"
    data.mkdir()
    (data / "EURJPY.parquet").write_bytes(b"PAR1 and no more")
    shutil.copy(data / "EURJPY.parquet", data / "GBPJPY.parquet")
    out = tmp_path / "config"
    chain = _chain(tmp_path, POSTGRES_URL=registry_url, REDIS_URL=redis_url)
    _refused(chain.task("universe", "init", "--data", str(data), "--out", str(out)), 20, "EURJPY.parquet")
    assert not out.exists()


def test_too_short_a_history_is_named(tmp_path: Path, registry_url: str, redis_url: str) -> None:
    root = markets.small(tmp_path)
    change(root, "pipeline_policy.yaml", "dq_thresholds.min_history_bars", 10_000_000)
    chain = Chain.at(tmp_path, root, registry_url, redis_url)
    ends = chain.run(tasks=("ingest", "catalog"))
    last = list(ends.values())[-1]
    _refused(last, 20, "10000000", "ALDUSD")
