"""The small commands on real servers, by the command line a person or a flow uses."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from core.stores.bundle_store import CONTENT
from core.stores.database import current_revision
from tasks.__main__ import app
from tests.fixtures import markets
from tests.fixtures.command_line import Command
from tests.fixtures.config_tree import CONFIGS
from tests.fixtures.tiny_market import NOWHERE
from tests.integration.publish.judged_runs import judged_run, make_context


@pytest.fixture
def command(tmp_path: Path, registry_url: str, redis_url: str) -> Command:
    return Command.over(CONFIGS, tmp_path, registry_url, redis_url)


def test_database_upgrade_makes_the_schemas_and_may_be_repeated(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    command = Command.over(CONFIGS, tmp_path, postgres_url, redis_url)
    for _ in range(2):
        assert command.outputs("database", "upgrade")["revision"] == current_revision(postgres_url)


def test_keys_init_makes_a_pair_once(tmp_path: Path, command: Command) -> None:
    assert command.outputs("keys", "init")["created"] is True
    private = tmp_path / "keys" / "signing.pem"
    before = private.read_bytes()
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert command.outputs("keys", "init")["created"] is False
    assert private.read_bytes() == before
    private.unlink()
    refused = command.run("keys", "init")
    assert refused.exit_code == 20
    assert json.loads(refused.stdout)["error"]["code"] == "SIGNING_KEY_EXISTS"


def test_publish_registry_and_verify_tell_the_same_story(
    tmp_path: Path, registry_url: str, redis_url: str, command: Command
) -> None:
    context = make_context(tmp_path, registry_url, redis_url)
    version = judged_run(context, 1)
    options = ("--run-id", version, "--model-version", version)
    assert command.outputs("publish", *options, "--dry-run")["status"] == "would be deployed"
    assert command.outputs("registry", "list")["models"] == []
    assert command.outputs("publish", *options)["status"] == "deployed"

    listed = command.run("registry", "list")
    header, row, last = listed.stdout.splitlines()
    assert header.split()[:2] == ["version", "status"]
    assert row.split()[:2] == [version, "deployed"]
    assert json.loads(last)["outputs"]["models"][0]["model_version"] == version
    assert len(command.run("registry", "list", "--json").stdout.splitlines()) == 1
    shown = command.outputs("registry", "show", "--model-version", version)
    assert shown["notes"].startswith("approved:")
    assert shown["metrics_json"]["verdict"]["sharpe"] == 1.6

    assert command.outputs("verify", "--model-version", version)["files"] == len(CONTENT)
    copy = Path(command.outputs("verify", "--model-version", version, "--shared")["bundle"])
    (copy / "model_ai1.pkl").write_bytes(b"x")
    assert command.run("verify", "--model-version", version).exit_code == 0
    refused = command.run("verify", "--model-version", version, "--shared")
    assert refused.exit_code == 20
    assert "model_ai1.pkl" in refused.stderr


def test_a_blocked_task_says_so_on_its_last_line(
    tmp_path: Path, registry_url: str, redis_url: str, command: Command
) -> None:
    context = make_context(tmp_path, registry_url, redis_url)
    version = judged_run(context, 1, status="blocked", retrain_status="blocked", reasons=["the window is short"])
    result = command.run("publish", "--run-id", version, "--model-version", version)
    assert result.exit_code == 11
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["outputs"] == {"retrain_status": "blocked"}
    assert "the window is short" in last["error"]["message"]


def test_an_unknown_version_is_named(command: Command) -> None:
    for words in (("registry", "show"), ("verify",)):
        result = command.run(*words, "--model-version", "20240101_0000_00000000")
        assert result.exit_code == 20
        assert "20240101_0000_00000000" in result.stderr


@pytest.mark.parametrize(
    ("task", "run_id"),
    [
        *((task, "../models") for task in ("features", "backtest", "theta", "report", "publish", "infer")),
        *(("train", run_id) for run_id in ("..", "a/b", "/etc", ".hidden", "", "a\\b", "a\n")),
    ],
)
def test_a_run_id_that_leads_out_of_the_runs_is_refused(tmp_path: Path, task: str, run_id: str) -> None:
    words = {"features": (), "infer": ("--model-version=v", "--as-of=2024-01-01T00:00:00Z")}
    command = Command.over(CONFIGS, tmp_path, *NOWHERE)
    refused = command.refusal(task, *words.get(task, ("--model-version=v",)), f"--run-id={run_id}")
    assert refused[:2] == (20, "STORE_NAME_INVALID")
    assert repr(run_id) in refused[2]


@pytest.mark.parametrize(
    "words", [("verify",), ("reproduce",), ("explain", "--pair=A-B", "--bar=2024-01-01T00:00:00Z")]
)
def test_a_model_version_that_leads_out_of_the_models_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    command = Command.over(CONFIGS, tmp_path, *NOWHERE)
    assert command.refusal(*words, "--model-version=../runs/r1")[:2] == (20, "STORE_NAME_INVALID")


def test_without_a_configuration_the_last_line_says_so() -> None:
    result = CliRunner().invoke(app, ["verify", "--model-version", "v"], env={"CONFIG_ROOT": None})
    assert result.exit_code == 20
    assert json.loads(result.stdout.splitlines()[-1])["error"]["code"] == "CONFIG_ROOT_MISSING"
    assert "--config" in result.stderr


def test_an_unknown_status_is_refused(command: Command) -> None:
    assert command.run("record-run", "--dag-id=x", "--status=fine").exit_code == 2


def test_no_password_of_an_address_is_shown(tmp_path: Path, redis_url: str) -> None:
    command = Command.over(CONFIGS, tmp_path, "postgresql://core:s3cret@127.0.0.1:1/core", redis_url)
    result = command.run("registry", "list")
    assert result.exit_code == 30
    assert "s3cret" not in result.output


@pytest.mark.parametrize(
    "words", [["ingest"], ["features", "--run-id", "R"], ["train", "--run-id", "R", "--model-version", "V"]]
)
def test_a_part_that_is_none_is_a_wrong_option(command: Command, words: list[str]) -> None:
    result = command.run(*words, "--shard=3/2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'3/2' is no part k/n" in result.stderr


def test_ingest_in_two_parts_and_then_as_a_whole(tmp_path: Path, registry_url: str, redis_url: str) -> None:
    command = Command.over(markets.tiny(tmp_path), tmp_path / "archive", registry_url, redis_url)
    parts = [command.outputs("ingest", f"--shard={number}/2") for number in (2, 1)]
    assert [(part["shard"], part["symbols"], part["symbols_staged"]) for part in parts] == [
        ("2/2", 3, 3),
        ("1/2", 3, 3),
    ]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert set(client.hkeys("core:progress:t1")) == {"ingest[1/2]", "ingest[2/2]"}
    whole = command.outputs("ingest")
    assert (whole["symbols"], whole["partitions_written"]) == (6, 54)
    assert command.outputs("ingest")["partitions_written"] == 0
